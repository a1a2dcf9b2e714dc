"""Samplers: which examples make a batch, as a function of seed, step, rank and world size.

They keep no state and yield lists of indices. The data depend on the rank through them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from torch.utils.data import Sampler

from framework.data.permutations import permutation

ENDLESS = 2**62  # size of an endless training set: more examples than are ever drawn


def beginning() -> int:
    """Returns step 0, where a fresh run starts."""
    return 0


class StepSampler(Sampler[list[int]]):
    """Draws training batches without end, the same whether or not the run was interrupted.

    Every epoch is a fresh permutation, drawn for (seed, epoch). A global batch is a slice of it,
    cut into equal parts for the ranks, so that the union over the ranks does not depend on how
    many there are. The remainder that does not fill a batch is left out of that epoch. Memory and
    start do not grow with the number of examples beyond that of `permutations.LISTED`.

    Args:
        size: Number of examples.
        batch_size: Examples in a global batch, all ranks together.
        seed: Seed of the order.
        rank: Number of this process among those that share a batch.
        world: Number of processes that share a batch.
        start: Function that returns the step (micro-batch) to begin with; called whenever an
            iteration begins.

    Raises:
        ValueError: If a batch cannot be shared equally, or there are fewer examples than one batch
            needs.

    Example:
        >>> first = iter(StepSampler(size=10, batch_size=4, seed=1))
        >>> _ = next(first)
        >>> next(first) == next(iter(StepSampler(size=10, batch_size=4, seed=1, start=lambda: 1)))
        True
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        start: Callable[[], int] = beginning,
    ) -> None:
        _check_divisible(batch_size, world)
        if size < batch_size:
            raise ValueError(
                f"The training data hold {size} examples, fewer than one batch needs; "
                f"lower batch_size={batch_size} or give more data."
            )
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world, self.start = rank, world, start
        self.length = size // batch_size  # batches of one pass over the examples

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches(self.start())

    def batches(self, first: int) -> Iterator[list[int]]:
        """Yields the batches from a step on."""
        part = self.batch_size // self.world
        epoch, step = divmod(first, self.length)
        while True:
            order = permutation(self.size, self.seed, epoch)
            for k in range(step, self.length):
                begin = k * self.batch_size + self.rank * part
                yield order.part(begin, begin + part)
            epoch, step = epoch + 1, 0


class EndlessSampler(Sampler[list[int]]):
    """Numbers the examples of an endless training set: batch k holds the next numbers.

    A batch is cut into equal parts for the ranks, so that the union over the ranks does not depend
    on how many there are.

    Args:
        batch_size: Examples in a global batch, all ranks together.
        rank: Number of this process among those that share a batch.
        world: Number of processes that share a batch.
        start: Function that returns the step (micro-batch) to begin with; called whenever an
            iteration begins.

    Raises:
        ValueError: If a batch cannot be shared equally.

    Example:
        >>> from itertools import islice
        >>> list(islice(EndlessSampler(batch_size=4, rank=1, world=2), 3))
        [[2, 3], [6, 7], [10, 11]]
    """

    def __init__(
        self,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        start: Callable[[], int] = beginning,
    ) -> None:
        _check_divisible(batch_size, world)
        self.batch_size, self.rank, self.world, self.start = batch_size, rank, world, start
        self.length = None  # there is no end

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches(self.start())

    def batches(self, first: int) -> Iterator[list[int]]:
        """Yields the batches from a step on."""
        part = self.batch_size // self.world
        for step in count(first):
            begin = step * self.batch_size + self.rank * part
            yield list(range(begin, begin + part))


class ShardSampler(Sampler[list[int]]):
    """Visits every example exactly once over all ranks, in the same number of batches on each.

    Nothing is padded and nothing counted twice, so sums over all ranks do not depend on how many
    there are. The number of batches is equal because a forward pass of a sharded model is a
    collective. To achieve this, batches differ in size by at most one, and if there are hardly
    more examples than processes, one batch may exceed `batch_size` by one.

    Args:
        size: Number of examples.
        batch_size: Examples in a batch of one process.
        rank: Number of this process.
        world: Number of processes.

    Raises:
        ValueError: If there are fewer examples than processes, or `batch_size` is not positive.
    """

    def __init__(self, size: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        if batch_size < 1:
            raise ValueError(f"eval_batch_size={batch_size} holds no example; use at least 1.")
        if size < world:
            raise ValueError(
                f"The evaluation data hold {size} examples for {world} processes; "
                "every process needs one, evaluate on fewer processes or give more data."
            )
        self.size, self.rank, self.world = size, rank, world
        self.steps = min(-(-size // (world * batch_size)), size // world)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.steps * self.world
        for k in range(self.rank, batches, self.world):
            yield list(range(k * self.size // batches, (k + 1) * self.size // batches))


def _check_divisible(batch_size: int, world: int) -> None:
    if batch_size < 1 or batch_size % world:
        raise ValueError(
            f"batch_size={batch_size} cannot be shared equally by {world} processes; "
            f"it counts the examples of all of them, use a positive multiple of {world}."
        )
