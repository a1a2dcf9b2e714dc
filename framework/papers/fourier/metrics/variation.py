"""Mean total variation between predicted and true distributions over cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from components.metrics.densities import total_variation


class TotalVariation(Metric):
    """Averages the total variation distance between predictions and the truth.

    All pairs of distributions have the same weight, in whichever batch or process they are.

    Example:
        >>> metric = TotalVariation()
        >>> metric.update(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([0.25, 0.75]))
        >>> metric.compute().item()
        0.5
    """

    full_state_update = False
    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Adds pairs of distributions, masses of cells `[..., K]` each, broadcastable."""
        distances = total_variation(prediction, truth).detach().to(self.total)
        self.total += distances.sum()
        self.count += distances.numel()

    def compute(self) -> Tensor:
        """Returns the mean over all pairs, `nan` if there were none."""
        return self.total / self.count
