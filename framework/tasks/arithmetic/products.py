"""Multiplication as data: endless training examples, equally many of each length to test on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from framework.data.module import Dataset, DrawnDataset, EndlessData
from framework.modules.base import WeightedValues
from framework.tasks.arithmetic.data import Equations
from framework.tasks.arithmetic.digits import Multiplication
from framework.tasks.arithmetic.figures import draw_cells

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

PICTURED = 64  # examples of each cell in a figure, at most


class GroupedTokenBatch(NamedTuple):
    """Windows of text like those of a `TokenBatch`, each of which belongs to a group."""

    tokens: Tensor  # [B, T] int64, what the model reads
    target: Tensor  # [B, T] int64, the token that follows each
    weight: Tensor  # [B, T] float32
    group: Tensor  # [B] int64, the number of the group among those of the data


class ProductData(EndlessData, Equations):
    """Serves multiplications as tokens, digit by digit.

    The numbers of digits of both factors are drawn uniformly, then the factors among the numbers
    with so many digits, leading zeros allowed. Evaluation has equally many examples of each pair
    of lengths, a cell, and counts the tokens of the product alone.

    Training example k is a function of the seed and of k; evaluation examples are the same for
    every seed. Nothing keeps the two apart: pairs of short factors occur in both.

    Args:
        source: How numbers are written.
        loss: Which tokens count in training: those of the product, or all after the first. If only
            the product counts, positions before it have no loss of their own, and no training
            signal where gradients do not reach back.
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
                f"ProductData: validation={validation} draws nothing; use at least 1 per cell."
            )
        self.loss, self.validation = loss, validation

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Digits of the first and of the second factor, for each group of examples."""
        return _cells(self.source.digits)

    def dataset(self, split: str) -> Dataset:
        """Returns the examples of a split; prediction has those of the test.

        In evaluation the cells take turns.
        """
        everywhere = split == "train" and self.loss == "everything"
        size = self.validation * len(self.cells)
        return Products(self.source, everywhere, split, self.seed, size)

    def breakdown(
        self, batch: GroupedTokenBatch, loader: int, metrics: Mapping[str, WeightedValues]
    ) -> Mapping[str, WeightedValues]:
        """Returns the accuracy, and that of each cell."""
        right, each = metrics["accuracy"]
        found = {"accuracy": (right, each)}
        for group in sorted(set(batch.group.tolist())):
            first, second = self.cells[group]
            found[f"accuracy_{first}x{second}"] = (right, (batch.group == group).float())
        return found

    def drawn(self) -> GroupedTokenBatch:
        """Returns validation examples, equally many of each cell, which take turns."""
        examples: Any = self.dataset("val")
        batch: GroupedTokenBatch = examples.__getitems__(
            list(range(len(self.cells) * min(PICTURED, self.validation)))
        )
        return batch

    def draw(self, probability: Tensor, right: Tensor) -> Mapping[str, Figure]:
        """Draws the accuracy by the lengths of both factors."""
        digits, title = self.source.digits, f"{self.source.formula}: share of correct products"
        accuracy = right.view(-1, len(self.cells)).mean(0).view(digits, digits)
        return {"cells": draw_cells(accuracy, title)}


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
