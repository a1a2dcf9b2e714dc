"""Density models: the whole distribution of an outcome is predicted from features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import DensityBatch, DensitySpec
from components.distributions.functionals import crps
from framework.figures import draw_densities
from framework.modules.base import PredictiveModule, Ratio

CELLS = 512  # of the range of the outcome, for the integral of the KL divergence and for figures


class DensityModel(PredictiveModule):
    """Trains and evaluates a model of conditional densities.

    Reports the CRPS, the squared error of the mean, and, where the data know the truth, the KL
    divergence `kl` of the prediction from it, in nats.

    Args:
        options: Options of every module: spec, stem, backbone, head, losses, optimizer, schedule,
            execution.
    """

    kind = DensitySpec
    spec: DensitySpec

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def metrics(self, prediction: Any, batch: DensityBatch) -> Mapping[str, Ratio]:
        """Returns CRPS, squared error and, where the truth is known, KL divergence."""
        found = {
            "crps": (crps(prediction, batch.target), batch.weight),
            "squared_error": ((prediction.mean - batch.target).square(), batch.weight),
        }
        truth = self._truth(batch)
        if truth is not None:
            values, width = self._grid()
            found["kl"] = (
                divergence(truth, _log_density(prediction, values), width),
                batch.weight,
            )
        return found

    def figures(self, batch: DensityBatch) -> Mapping[str, Figure]:
        """Draws predicted densities of some examples, and of the whole batch."""
        values, _ = self._grid()
        truth = self._truth(batch)
        figure = draw_densities(
            values,
            _log_density(self(batch), values).exp()[:, 0],
            batch.target[:, 0],
            None if truth is None else truth.exp()[:, 0],
        )
        return {"densities": figure}

    def predict_step(
        self, batch: DensityBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Returns mean and standard deviation of each prediction, and what happened."""
        prediction: Any = self(batch)
        columns = (prediction.mean, prediction.stddev, batch.target)
        return [
            {"mean": mean, "std": std, "target": target}
            for mean, std, target in zip(*(c[:, 0].tolist() for c in columns), strict=True)
        ]

    def _grid(self) -> tuple[Tensor, float]:
        """Returns the centres of equal cells of the range of the outcome, and their width."""
        interval = self.spec.support.interval
        width = (interval.high - interval.low) / CELLS
        steps = torch.arange(CELLS, device=self.device) + 0.5
        return interval.low + width * steps, width

    def _truth(self, batch: DensityBatch) -> Tensor | None:
        """Returns the true log-density `[B, 1, G]` on the grid where the data know it."""
        truth = getattr(self.trainer.datamodule, "truth", _unknown)  # type: ignore[attr-defined]
        law = truth(batch.features)
        return None if law is None else _log_density(law, self._grid()[0]).unsqueeze(1)


def divergence(truth: Tensor, predicted: Tensor, width: float) -> Tensor:
    r"""Integrates the KL divergence from a truth, within the range of a grid.

    .. math:: \int p(x) \log \frac{p(x)}{q(x)} \, dx

    Args:
        truth: Log-density of the truth at equally spaced values, `[..., G]`; normalized there.
        predicted: Log-density of the prediction, `[..., G]`.
        width: Distance of the values.

    Returns:
        Nats, `[...]`; not negative up to the error of the integral.
    """
    shares = truth.softmax(-1)
    return (shares * (truth.log_softmax(-1) - math.log(width) - predicted)).sum(-1)


def _log_density(law: Any, values: Tensor) -> Tensor:
    """Evaluates a law of batch shape `[...]` at values `[G]`: log-densities `[..., G]`."""
    column = values.view(-1, *[1] * len(law.batch_shape))
    densities: Tensor = law.log_prob(column.expand(-1, *law.batch_shape))
    return densities.movedim(0, -1)


def _unknown(features: Tensor) -> None:
    """Stands for the truth of data that do not know it."""
