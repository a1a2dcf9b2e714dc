"""Multiplication as data: fresh examples to train on, and as many of each length to be tested."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from components.data import GroupedTokenBatch
from framework.data.module import Dataset, DrawnDataset, EndlessData
from framework.tasks.arithmetic.data import Equations
from framework.tasks.arithmetic.digits import Multiplication

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class ProductData(EndlessData, Equations):
    """Serves multiplications as tokens: how far does a model get that works digit by digit?

    The numbers of digits of both factors are drawn evenly, then the factors among the numbers that
    have so many digits, leading zeros allowed. Evaluation has equally many examples of each pair
    of lengths, a cell, and asks for the product alone.

    Training example k is a function of the seed and of k, those to evaluate on are the same for
    every seed. All numbers are drawn, so that those of small cells come in training too.

    Args:
        source: How numbers are written.
        loss: Which tokens count in training: those of the product, or all behind the first. Places
            in front of the product have no loss of their own if only the product counts, so that
            nothing trains them where gradients do not reach back.
        validation: Examples of each cell to validate on, and as many to test on, at least 1.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If there would be no example to validate on.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859v2), appendix D.3.
    """

    source: Multiplication

    def __init__(
        self,
        source: Multiplication,
        loss: Literal["answer", "everything"] = "answer",
        validation: int = 1024,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(source=source, **options)
        if validation < 1:
            raise ValueError(
                f"ProductData: validation={validation} draws nothing; use at least 1 a cell."
            )
        self.loss, self.validation = loss, validation

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Digits of the first and of the second factor, for each group of examples."""
        return _cells(self.source.digits)

    def dataset(self, split: str) -> Dataset:
        """Returns the examples of a split; those to predict are those to test on.

        In evaluation the cells take turns.
        """
        everywhere = split == "train" and self.loss == "everything"
        size = self.validation * len(self.cells)
        return Products(self.source, everywhere, split, self.seed, size)


class Products(DrawnDataset):
    """Multiplications of drawn factors.

    Args:
        source: How they are written.
        everywhere: Whether all tokens count, or those of the product only.
        split: The split; in evaluation the cells take turns.
        seed: Seed of the training examples.
        size: Number of examples to evaluate on.
    """

    def __init__(
        self, source: Multiplication, everywhere: bool, split: str, seed: int, size: int
    ) -> None:
        super().__init__(split, seed, size)
        self.source, self.everywhere, self.turns = source, everywhere, split != "train"
        self.cells = _cells(source.digits)

    def __getitems__(self, indices: list[int]) -> GroupedTokenBatch:
        """Draws multiplications `[B, T]` with the numbers of their cells `[B]`."""
        groups, factors = [], []
        for index, rng in zip(indices, self.generators(indices), strict=True):
            turn = index % len(self.cells)
            groups.append(turn if self.turns else int(rng.integers(len(self.cells))))
            factors.append([rng.integers(10**digits) for digits in self.cells[groups[-1]]])
        tokens, target, weight = self.source.written(*torch.from_numpy(np.array(factors).T))
        if self.everywhere:
            weight = torch.ones_like(weight)
        return GroupedTokenBatch(tokens, target, weight, torch.tensor(groups))


def _cells(digits: int) -> list[tuple[int, int]]:
    lengths = range(1, digits + 1)
    return list(product(lengths, lengths))
