"""Density models: the whole distribution of an outcome is predicted from features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from matplotlib.figure import Figure
from torch.distributions import Distribution

from components.data import DensityBatch, DensitySpec
from components.distributions.tensors import constant, to_float32
from components.metrics.densities import CELLS, grid, log_density, measure
from components.metrics.forecasting import LEVELS
from framework.data.protocols import KnowsMean, KnowsTruth
from framework.figures import draw_densities, draw_function
from framework.modules.base import PredictiveModule, WeightedValues

NAMES = tuple(map(str, LEVELS))  # of quantiles, in a row of predictions
POINTS = 1000  # of a figure of the prediction against the feature


class DensityModel(PredictiveModule):
    """Trains and evaluates a model of conditional densities.

    Reports the CRPS, the squared error of the mean and the perplexity exp(nll); where the data
    know the true distribution, the KL divergence of the prediction from it in nats, `kl` of
    densities and `kl_cells` of cells; for distributions over cells also their smoothness.
    """

    kind = DensitySpec
    spec: DensitySpec

    def metrics(self, prediction: Any, batch: DensityBatch) -> Mapping[str, WeightedValues]:
        """Returns CRPS, squared errors and, where the truth is known, KL divergences."""
        interval = self.spec.support.interval
        values = measure(prediction, batch.target, self._truth(batch), interval)
        return {name: (value, batch.weight) for name, value in values.items()}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Returns the perplexity, in units of the outcome."""
        return {"perplexity": math.exp(min(means["nll"], 700.0))}  # float64 overflows beyond

    def figures(self, batch: DensityBatch) -> Mapping[str, Figure]:
        """Draws predicted densities of some examples and of the whole batch.

        With a single feature, draws the prediction as a function of it instead, on twice the range
        of the batch.
        """
        if self.spec.features == 1:
            return {"function": self._function(batch)}
        values, _ = grid(self.spec.support.interval, CELLS, self.device)
        truth = self._truth(batch)
        figure = draw_densities(
            values,
            log_density(self(batch), values).exp()[:, 0],
            batch.target[:, 0],
            None if truth is None else log_density(truth, values).exp()[:, 0],
        )
        return {"densities": figure}

    def _function(self, batch: DensityBatch) -> Figure:
        low, high = batch.features.aminmax()
        middle, half = (low + high) / 2, (high - low) / 2
        steps = torch.linspace(-2, 2, POINTS, device=self.device, dtype=low.dtype)
        x = (middle + half * steps).unsqueeze(-1)
        blank = torch.zeros_like(x, dtype=batch.target.dtype)
        swept = DensityBatch(x, blank, torch.ones_like(blank))
        prediction: Any = self(swept)
        mean = self.data.mean(swept) if isinstance(self.data, KnowsMean) else None
        return draw_function(
            x[:, 0],
            prediction.mean[:, 0],
            prediction.stddev[:, 0],
            batch.features[:, 0],
            batch.target[:, 0],
            None if mean is None else mean[:, 0],
        )

    def predict_step(
        self, batch: DensityBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Returns mean, standard deviation and quantiles of each prediction, and what happened.

        What happened is `None` where it is unknown. Quantiles need a distribution with `icdf`,
        which those of all heads here have.
        """
        prediction: Any = self(batch)
        columns = [prediction.mean, prediction.stddev, batch.target]
        with suppress(NotImplementedError):
            levels = constant(LEVELS, torch.float32, batch.target.device).view(-1, 1, 1)
            columns.extend(prediction.icdf(levels.expand(-1, *batch.target.shape)))
        rows = zip(*(to_float32(c)[:, 0].tolist() for c in columns), strict=True)
        return [
            {
                "mean": mean,
                "std": std,
                **({"quantiles": dict(zip(NAMES, quantiles, strict=True))} if quantiles else {}),
                "target": None if math.isnan(target) else target,
            }
            for mean, std, target, *quantiles in rows
        ]

    def _truth(self, batch: DensityBatch) -> Distribution | None:
        """Returns the true distribution, batch shape `[B, 1]`, where the data know it."""
        return self.data.truth(batch) if isinstance(self.data, KnowsTruth) else None
