"""Examples of a split to be read repeatedly, divided among processes, or spread over all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from framework.analysis.processes import place
from framework.data.module import Dataset
from framework.data.sampling import ShardSampler


class Sample:
    """Serves examples with their numbers in the split; every example goes to one process.

    Args:
        examples: The split.
        size: How many examples to read, the first ones; all if not given, or not so many.
        batch_size: Examples in a batch of one process.
        device: Where batches are needed.

    Raises:
        ValueError: If `size` or `batch_size` is not positive, or a process is left without one.
    """

    def __init__(
        self,
        examples: Dataset,
        size: int | None = None,
        batch_size: int = 32,
        device: torch.device | None = None,
    ) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Sample: size={size} holds no example; use at least 1.")
        self.examples = examples
        self.size = len(examples) if size is None else min(size, len(examples))
        self.batch_size, self.device = batch_size, device or torch.device("cpu")

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        """Yields the numbers of some examples, `[B]`, and these as a batch."""
        for numbers in ShardSampler(self.size, self.batch_size, *place()):
            batch = self.examples.__getitems__(numbers)
            yield torch.tensor(numbers), move_data_to_device(batch, self.device)


class Spread(Dataset):
    """Some examples of a split, at equal distances.

    Args:
        examples: The split.
        size: How many to take; all if not given, or if there are not so many.

    Raises:
        ValueError: If `size` is not positive.

    Example:
        >>> class Numbers(Dataset):
        ...     def __len__(self): return 10
        ...     def __getitems__(self, indices): return indices
        >>> Spread(Numbers(), 4).__getitems__([0, 1, 2, 3])
        [0, 2, 5, 7]
    """

    def __init__(self, examples: Dataset, size: int | None = None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Spread: size={size} takes no example; use at least 1.")
        self.examples = examples
        self.size = len(examples) if size is None else min(size, len(examples))

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, indices: list[int]) -> Any:
        """Returns examples as one batch."""
        step = len(self.examples)
        return self.examples.__getitems__([index * step // self.size for index in indices])
