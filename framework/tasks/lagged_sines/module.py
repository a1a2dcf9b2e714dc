"""Sequence models: an outcome is predicted at every position from the features so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import huber_loss

from components.data import SequenceBatch, SequenceSpec
from framework.data.protocols import MarksTask
from framework.modules.base import PredictiveModule, WeightedValues
from framework.tasks.lagged_sines.figures import draw_sequences


class SequenceModel(PredictiveModule):
    """Trains and evaluates a model of outcomes along sequences.

    Reports the Huber loss of the mean with delta 1, in squared units of the outcome: `huber` at
    all positions and, where the data mark the positions of the task, `task_huber` at these,
    `rest_huber` at the others, and `zero_huber`, that of predicting 0 throughout the task.
    `normalized_huber` is their ratio, 1 for a model that has learned nothing; `huber_per_task` is
    `huber` divided by the share of positions in the task, the number in the paper's table.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859), synthetic data, table 1.
    """

    kind = SequenceSpec
    spec: SequenceSpec

    def metrics(self, prediction: Any, batch: SequenceBatch) -> Mapping[str, WeightedValues]:
        """Returns the Huber loss at all positions, at those of the task and at the others."""
        mean, task = prediction.mean, self._task(batch).to(batch.weight.dtype)
        loss, zero = (_huber(x, batch.target) for x in (mean, torch.zeros_like(mean)))
        due, rest = batch.weight * task, batch.weight * (1 - task)
        found = {"huber": (loss, batch.weight), "task_share": (task, batch.weight)}
        if due.any():
            found |= {"task_huber": (loss, due), "zero_huber": (zero, due)}
        if rest.any():
            found["rest_huber"] = (loss, rest)
        return found

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Divides the Huber loss by that of predicting 0, and by the share of the task."""
        if not means.get("zero_huber"):  # no task, or every outcome is 0
            return {}
        return {
            "normalized_huber": means["task_huber"] / means["zero_huber"],
            "huber_per_task": means["huber"] / means["task_share"],
        }

    def figures(self, batch: SequenceBatch) -> Mapping[str, Figure]:
        """Draws outcomes and predicted means of some sequences."""
        prediction: Any = self(batch)
        return {"sequences": draw_sequences(batch.target, prediction.mean, self._task(batch))}

    def predict_step(
        self, batch: SequenceBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Returns predicted means and outcomes at each position, a row per sequence."""
        prediction: Any = self(batch)
        columns = (prediction.mean, batch.target, self._task(batch))
        return [
            {"mean": mean, "target": target, "task": task}
            for mean, target, task in zip(*(c.tolist() for c in columns), strict=True)
        ]

    def _task(self, batch: SequenceBatch) -> Tensor:
        """Returns which positions belong to the task, `[B, T]` bool: all if the data mark none."""
        if isinstance(self.data, MarksTask):
            return self.data.task(batch)
        return torch.ones_like(batch.weight, dtype=torch.bool)


def _huber(mean: Tensor, target: Tensor) -> Tensor:
    return huber_loss(mean, target.to(mean.dtype), reduction="none")
