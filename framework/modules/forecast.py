"""Forecasters: the future of a series is predicted value by value from its past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Distribution

from components.data import SeriesBatch, SeriesSpec
from components.distributions import Affine
from components.distributions.tensors import constant, to_float32
from components.interfaces import Head, Stem
from components.metrics.forecasting import LEVELS, score
from components.metrics.smoothness import smoothness_of
from framework.evaluation.forecasting import PATHS, Paths, relative_score, sample_paths
from framework.figures import draw_forecasts
from framework.modules.base import PredictiveModule, WeightedValues
from framework.modules.returned import hidden_states, predicted

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import ModuleOptions

SHOWN = 4  # series in a figure


class Forecaster(PredictiveModule):
    """Trains and evaluates a model of series, in nats of the series' own units.

    Training and `nll` are teacher-forced: each value is predicted from the true values before it.
    Tests draw whole futures and report MASE, WQL, the mean absolute error of the median and the
    coverage of the 80 % interval; `components.metrics.forecasting.score` defines them.

    If the data name several benchmark sets, test metrics carry their names, such as
    `mase/m3_monthly`. `mase_relative` and `wql_relative` are geometric means over the sets of the
    ratios to the seasonal naive forecast. For distributions over cells, tests also report the
    teacher-forced `smoothness`.

    Args:
        paths: How many futures are drawn of each series.
        pooled_mase: Report `mase_pooled`, too: the MASE of gluonts.ev, a mean over all observed
            values rather than over series.
        tied: Whether the head shares the vectors by which the stem embeds cells, as Chronos does;
            both must have the same cells.
        options: Options of every module, see `PredictiveModule`.

    Raises:
        ValueError: If the head or the stem has no matrix to share.
    """

    kind = SeriesSpec
    spec: SeriesSpec

    def __init__(
        self,
        *,
        paths: Paths = PATHS,
        pooled_mase: bool = False,
        tied: bool = False,
        **options: Unpack[ModuleOptions],
    ) -> None:
        super().__init__(**options)
        self.paths, self.tied = paths, tied
        self._left_out = set() if pooled_mase else {"mase_pooled"}

    def _join(self, stem: Stem, head: Head) -> None:
        if self.tied:
            head.tie(stem.lookup(), stem.specials)

    def forward(self, batch: Any) -> Distribution:
        """Predicts each value of the horizon given those before it, `[B, H]`, in its own units.

        A stem that is not autoregressive predicts the whole horizon of training, of which a
        shorter one is the beginning.
        """
        hidden = hidden_states(self.stem, self.backbone, batch)[:, : batch.target.shape[1]]
        prediction = predicted(self.head, hidden, self.spec.support)
        return Affine(prediction, batch.loc, batch.scale)

    def out_of_support(self, batch: SeriesBatch) -> Tensor:
        """Returns which scaled targets lie outside the support, as 0 or 1, `[B, H]`."""
        return (~self.spec.support.contains((batch.target - batch.loc) / batch.scale)).float()

    def validation_step(self, batch: SeriesBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Adds the likelihood of a batch to the metrics, and its forecasts if `paths` says so."""
        super().validation_step(batch, batch_idx, dataloader_idx)
        if self.paths.in_validation:
            self._score(batch, batch_idx)

    def test_step(self, batch: SeriesBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Adds the likelihood, smoothness and forecasts of a batch to the metrics of its set."""
        sets = self.spec.benchmarks
        suffix = f"/{sets[dataloader_idx].name}" if sets else ""
        for name, (value, weight) in self.evaluate(batch, dataloader_idx).items():
            self._means.add(name + suffix, value, weight)
        self._score(batch, batch_idx, suffix)

    def metrics(
        self, prediction: Distribution, batch: SeriesBatch
    ) -> Mapping[str, WeightedValues]:
        """Returns the smoothness of distributions over cells, in tests."""
        if not self.trainer.testing:
            return {}
        try:
            return {"smoothness": (smoothness_of(prediction), batch.weight)}
        except TypeError:
            return {}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Compares forecasts with the seasonal naive ones, over all benchmark sets."""
        sets = self.spec.benchmarks
        if not all(f"mase/{part.name}" in means for part in sets) or not sets:
            return {}
        mase, wql = ([means[f"{name}/{part.name}"] for part in sets] for name in ("mase", "wql"))
        return {
            "mase_relative": relative_score(mase, [part.mase for part in sets]),
            "wql_relative": relative_score(wql, [part.wql for part in sets]),
        }

    def predict_step(
        self, batch: SeriesBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Forecasts: one row per series, its mean and quantiles at each step of the horizon."""
        futures = self.sample(batch, batch_idx)
        quantiles = _quantiles(futures).tolist()
        return [
            {
                "mean": mean,
                "quantiles": {
                    str(level): values
                    for level, values in zip(LEVELS, zip(*rows, strict=True), strict=True)
                },
            }
            for mean, rows in zip(futures.mean(1).tolist(), quantiles, strict=True)
        ]

    def figures(self, batch: SeriesBatch) -> Mapping[str, Figure]:
        """Draws fan charts of some series spread over the batch."""
        count = min(SHOWN, len(batch.past))
        rows = torch.linspace(0, len(batch.past) - 1, count, device=batch.past.device).long()
        some = type(batch)(*(field[rows] for field in batch))
        quantiles = _quantiles(self.sample(some, 0))
        known = self.identities(len(batch.past))
        titles = [_title(known[row]) for row in rows.tolist()] if known else []
        figure = draw_forecasts(
            some.past, some.observed, some.target, some.weight, quantiles, LEVELS, titles
        )
        return {"forecasts": figure}

    def sample(self, batch: SeriesBatch, batch_idx: int) -> Tensor:
        """Draws futures `[B, paths.samples, H]` of a batch, in the series' own units."""
        rank, processes = self.place
        part = batch_idx * processes + rank
        return sample_paths(
            self.stem,
            self.backbone,
            self.head,
            batch,
            self.paths,
            self.paths.seed + part,
        )

    def _score(self, batch: SeriesBatch, batch_idx: int, suffix: str = "") -> None:
        quantiles = _quantiles(self.sample(batch, batch_idx))
        for name, ratio in score(quantiles, batch).items():
            if name not in self._left_out:
                self._means.add_ratio(name + suffix, *ratio)


def _title(identity: Mapping[str, Any]) -> str:
    """Names a series, and the time of its first forecast where the data know times.

    Example:
        >>> _title({"id": "N1402", "time": ["1989-05-01", "1989-06-01"]})
        'N1402, from 1989-05-01'
    """
    times = identity.get("time")
    return f"{identity['id']}, from {times[0]}" if times else f"series {identity['id']}"


def _quantiles(futures: Tensor) -> Tensor:
    """Returns the quantiles `[B, H, Q]` of samples `[B, N, H]`."""
    futures = to_float32(futures)  # torch has no quantiles of bfloat16
    levels = constant(LEVELS, futures.dtype, futures.device)
    return futures.quantile(levels, dim=1).movedim(0, -1)
