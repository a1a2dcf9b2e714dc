"""Equations as data: all pairs of numbers but those of a square, which is kept to test on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from components.data import Batch, TokenBatch, TokenSpec
from components.supports import Tokens
from framework.data.module import Dataset, InMemory, PredictiveData
from framework.tasks.arithmetic.sources import Equation

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


@dataclass(frozen=True)
class Square:
    """Pairs of numbers that are left out of training.

    Args:
        center: First and second number in the middle.
        reach: Numbers on each side of it: (2 `reach` + 1)² pairs are left out, 441 with 10.

    Raises:
        ValueError: If `reach` is negative.
    """

    center: tuple[int, int]
    reach: int

    def __post_init__(self) -> None:
        if self.reach < 0:
            raise ValueError(f"Square: reach={self.reach} is negative; use at least 0.")

    @property
    def side(self) -> int:
        """How many numbers it covers in each direction."""
        return 2 * self.reach + 1

    @property
    def corner(self) -> tuple[int, int]:
        """The smallest first and second number in it."""
        return self.center[0] - self.reach, self.center[1] - self.reach

    def holds(self, first: Tensor, second: Tensor) -> Tensor:
        """Tells which pairs `[N]` lie in it."""
        away = torch.maximum((first - self.center[0]).abs(), (second - self.center[1]).abs())
        return away <= self.reach


class Equations(PredictiveData):
    """Serves equations as tokens: what all such data share.

    Args:
        source: The distribution of the answers, and how it is written.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    def __init__(self, source: Equation, **options: Unpack[DataOptions]) -> None:
        super().__init__(**options)
        self.source = source

    @property
    def spec(self) -> TokenSpec:
        """Vocabulary and length of the equations."""
        one = self.source.written(*torch.zeros(2, 1, dtype=torch.int64))
        return TokenSpec(Tokens(self.source.vocabulary), one.tokens.shape[1])

    def encode(self, text: str) -> list[int]:
        """Writes a text such as "17+20=" as tokens."""
        return self.source.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Reads tokens as text."""
        return self.source.decode(ids)


class EquationData(Equations):
    """Serves equations as tokens: what was learned by heart fails in a hole, a rule does not.

    A model reads `[a, b, =]` and is asked for `c`. It trains on all pairs outside the hole.
    Validation has two loaders, the pairs in the hole and those that were trained on; test and
    prediction have the hole. In training, every token still occurs at every place where the hole
    has it.

    Args:
        source: The distribution of the answers.
        hole: The pairs that are left out of training.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If the hole reaches beyond the numbers, leaves nothing to train on, or has
            tokens that training never shows there.

    Source: Hu et al., "Case-Based or Rule-Based: How Do Transformers Do the Math?"
        (arXiv:2402.17709), leave-square-out; Dong et al., "FANformer" (arXiv:2502.21309).
    """

    def __init__(self, source: Equation, hole: Square, **options: Unpack[DataOptions]) -> None:
        super().__init__(source, **options)
        low, high = min(hole.corner), max(hole.corner) + hole.side
        if low < 0 or high > source.size:
            raise ValueError(
                f"EquationData: hole={hole} covers numbers from {low} to {high - 1}, but they "
                f"run from 0 to {source.size - 1}; move it or make it smaller."
            )
        if hole.side == source.size:
            raise ValueError(
                f"EquationData: hole={hole} holds all pairs of {source.size} numbers and leaves "
                "nothing to train on; make it smaller."
            )
        self.hole = hole

    def dataset(self, split: str) -> Dataset:
        """Returns the pairs outside the hole for "train", those in the hole for all others."""
        return InMemory(self._parts["train" if split == "train" else "hole"])

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Makes the loaders of this process: the hole, then the pairs that are trained on."""
        return [self._evaluation(self.dataset(split)) for split in ("val", "train")]

    def equations(self) -> TokenBatch:
        """Returns all equations: first number 0 with each second one, then first number 1, …."""
        numbers = torch.arange(self.source.size)
        return self.source.written(*torch.cartesian_prod(numbers, numbers).unbind(1))

    @cached_property
    def _parts(self) -> dict[str, TokenBatch]:
        """The equations outside and inside the hole."""
        numbers = torch.arange(self.source.size)
        inside = self.hole.holds(*torch.cartesian_prod(numbers, numbers).unbind(1))
        table = self.equations()
        train = TokenBatch(*(field[~inside] for field in table))
        hole = TokenBatch(*(field[inside] for field in table))
        self._require_known(train, hole)
        return {"train": train, "hole": hole}

    def _require_known(self, train: TokenBatch, hole: TokenBatch) -> None:
        """Refuses a hole with tokens that training does not have at the same place."""
        rows = (torch.cat((part.tokens, part.target), 1) for part in (train, hole))
        for known, asked in zip(*(row.T.tolist() for row in rows), strict=True):
            if missing := sorted(set(asked) - set(known)):
                raise ValueError(
                    f"EquationData: {self.decode(missing[:1])!r} occurs nowhere in training where "
                    f"hole={self.hole} has it; move the hole or make it smaller."
                )
