"""Models that multiply: how many products are right, by the lengths of the factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from framework.data.module import Dataset
from framework.modules.base import Ratio
from framework.tasks.arithmetic.answers import AnswerModel
from framework.tasks.arithmetic.figures import draw_cells
from framework.tasks.arithmetic.products import ProductData

PICTURED = 64  # examples of each cell that a picture is computed from, at most
AT_ONCE = 512  # of them that are computed together


class ProductModel(AnswerModel):
    """Trains and evaluates a language model that multiplies, digit by digit.

    Reports which share of the products is right, `accuracy`, and that for factors of each pair of
    lengths, `accuracy_2x3` for those drawn among numbers of two digits and of three. A product is
    right if the likeliest digit is right at each of its places. Prediction writes the products.

    Args:
        sampling: How products are written; their length is that of the right ones.
        options: Options of a language model (`tied`) and of every module, see
            `PredictiveModule`.

    Raises:
        ValueError: If the data are no multiplications.
    """

    answers = ProductData

    def evaluate(self, batch: Any, dataloader_idx: int) -> Mapping[str, Ratio]:
        """Returns what a batch adds to the metrics, and to the accuracy of its cells."""
        found = dict(super().evaluate(batch, dataloader_idx))
        right, _ = found["accuracy"]
        for group in batch.group.unique().tolist():
            first, second = self.data.cells[group]
            found[f"accuracy_{first}x{second}"] = (right, (batch.group == group).float())
        return found

    def figures(self, batch: Any) -> Mapping[str, Figure]:
        """Draws the accuracy by the lengths of both factors, of some examples of each pair."""
        examples, cells = self.data.dataset("val"), len(self.data.cells)
        numbers = range(cells * min(PICTURED, self.data.validation))  # in which cells take turns
        parts = (numbers[begin : begin + AT_ONCE] for begin in numbers[::AT_ONCE])
        right = torch.cat([self._right(examples, list(part)) for part in parts])
        digits, source = self.data.source.digits, self.data.source
        accuracy = right.view(-1, cells).mean(0).view(digits, digits)
        return {
            "cells": draw_cells(accuracy, f"{source.formula}: share of products that are right")
        }

    def _right(self, examples: Dataset, numbers: list[int]) -> Tensor:
        """Tells which of some examples are answered right, as 0 or 1 `[B]`."""
        batch = examples.__getitems__(numbers)
        batch = type(batch)(*(field.to(self.device) for field in batch))
        right, _ = self.metrics(self(batch), batch)["accuracy"]
        return right
