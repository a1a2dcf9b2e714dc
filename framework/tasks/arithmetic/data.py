"""Equations as data: all pairs of numbers, a square of which is held out to test on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader

from components.data import Batch, TokenBatch, TokenSpec
from components.supports import Tokens
from framework.data.module import Dataset, InMemory, PredictiveData
from framework.modules.base import WeightedValues
from framework.tasks.arithmetic.figures import draw_equations
from framework.tasks.arithmetic.sources import Equation

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

PARTS = ("hole", "seen")  # what the loaders of `EquationData` serve, in their order


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
        """Returns which pairs `[N]` lie in it."""
        away = torch.maximum((first - self.center[0]).abs(), (second - self.center[1]).abs())
        return away <= self.reach


class Equations(PredictiveData):
    """Serves equations as tokens: what all such data share.

    Args:
        source: The rule that gives the answers, and how equations are written.
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
        """Converts a text such as "17+20=" to token ids."""
        return self.source.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text."""
        return self.source.decode(ids)

    @abstractmethod
    def breakdown(
        self, batch: Any, loader: int, metrics: Mapping[str, WeightedValues]
    ) -> Mapping[str, WeightedValues]:
        """Divides the metrics of a batch among the parts that are reported apart.

        Args:
            batch: A batch of an evaluation loader.
            loader: Number of the loader.
            metrics: The `nll` of each token, `[B, T]`, and the `accuracy`, `[B]`, with weights.
        """

    @abstractmethod
    def drawn(self) -> Any:
        """Returns the equations of a figure, as one batch."""

    @abstractmethod
    def draw(self, probability: Tensor, right: Tensor) -> Mapping[str, Figure]:
        """Draws how well the equations of `drawn` are answered.

        Args:
            probability: Probability of the correct answer, `[N]`.
            right: Whether the most likely answer is correct, as 0 or 1, `[N]`.
        """


class EquationData(Equations):
    """Serves equations as tokens: memorized pairs do not help in a hole, a learned rule does.

    A model reads `[a, b, =]` and predicts `c`. It trains on all pairs outside the hole.
    Validation has two loaders, the pairs in the hole and those that were trained on; test and
    prediction have the hole. In training, every token still occurs at every position where the
    hole has it.

    Args:
        source: The rule that gives the answers.
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

    def breakdown(
        self, batch: TokenBatch, loader: int, metrics: Mapping[str, WeightedValues]
    ) -> Mapping[str, WeightedValues]:
        """Puts the name of the loader's part in front of each metric."""
        return {f"{PARTS[loader]}_{name}": values for name, values in metrics.items()}

    def draw(self, probability: Tensor, right: Tensor) -> Mapping[str, Figure]:
        """Draws the probability of the correct answer by both numbers, and the hole."""
        square = probability.view(self.source.size, self.source.size)
        corner, side, title = self.hole.corner, self.hole.side, self.source.formula
        return {"equations": draw_equations(square, corner, side, title)}

    def drawn(self) -> TokenBatch:
        """Returns all equations: first number 0 with each second one, then first number 1, …."""
        numbers = torch.arange(self.source.size)
        return self.source.written(*torch.cartesian_prod(numbers, numbers).unbind(1))

    @cached_property
    def _parts(self) -> dict[str, TokenBatch]:
        """The equations outside and inside the hole."""
        numbers = torch.arange(self.source.size)
        inside = self.hole.holds(*torch.cartesian_prod(numbers, numbers).unbind(1))
        table = self.drawn()
        train = TokenBatch(*(field[~inside] for field in table))
        hole = TokenBatch(*(field[inside] for field in table))
        self._require_known(train, hole)
        return {"train": train, "hole": hole}

    def _require_known(self, train: TokenBatch, hole: TokenBatch) -> None:
        """Refuses a hole with tokens that training does not have at the same position."""
        rows = (torch.cat((part.tokens, part.target), 1) for part in (train, hole))
        for known, tested in zip(*(row.T.tolist() for row in rows), strict=True):
            if missing := sorted(set(tested) - set(known)):
                raise ValueError(
                    f"EquationData: {self.decode(missing[:1])!r} occurs nowhere in training where "
                    f"hole={self.hole} has it; move the hole or make it smaller."
                )
