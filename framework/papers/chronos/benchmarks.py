"""Benchmark sets: series whose ends are forecast by models that were trained on others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.data import SeriesBatch
from components.metrics.forecasting import LEVELS
from framework.data.baselines import Baselines
from framework.data.mapped import MappedArray
from framework.data.series.baselines import score_baselines
from framework.data.series.panels import Panel, PanelSource, load_panel, map_values, store_panel
from framework.data.series.recorded import Competition
from framework.data.series.scaling import Scaling, refuse_rounding
from framework.data.series.windows import Cuts, SeriesWindows, seasonal_error

SEASONS = 4  # of past that must hold an observed value, or else the future does not count


def competitions() -> dict[str, PanelSource]:
    """Returns the eight benchmark sets of Chronos that come with Overtone, by name.

    Yearly series of Tourism are left out: on the file that is published here the seasonal naive
    forecast scores 3.007 and .174, and not the 3.552 and .209 of the evaluation of Chronos, so
    theirs is another set. M3 `other` and M4 are not among the sets of this package or of Chronos.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), benchmark II.
    """
    parts = [("M1", part) for part in ("monthly", "quarterly", "yearly")]
    parts += [("M3", part) for part in ("monthly", "quarterly", "yearly")]
    parts += [("Tourism", part) for part in ("monthly", "quarterly")]
    return {f"{name.lower()}_{part}": Competition(name, part) for name, part in parts}  # type: ignore[arg-type]  # strings of the lists above


def of_context(batch: SeriesBatch) -> dict[str, Tensor]:
    """Forecasts by what a context holds, whatever its order: its mean, and its deciles.

    A model that has learnt to read the past must beat both.

    Returns:
        Quantiles `[B, H, 9]` by the name of the forecast, in the units of the series.
    """
    past = torch.where(batch.observed, batch.past.double(), torch.nan)
    levels = torch.tensor(LEVELS, dtype=past.dtype)
    found = {
        "context mean": past.nanmean(1, keepdim=True).expand(-1, len(LEVELS)),
        "context deciles": past.nanquantile(levels, 1).T,
    }
    horizon = batch.target.shape[1]
    return {
        name: each.nan_to_num()[:, None].expand(-1, horizon, -1) for name, each in found.items()
    }


class BenchmarkSet(NamedTuple):
    """Series of a benchmark, and the number of steps to forecast."""

    source: PanelSource
    panel: Panel
    horizon: int

    @classmethod
    def of(cls, source: PanelSource, horizon: int, limit: int | None) -> BenchmarkSet:
        """Opens the first series of a source, with `horizon` steps unless the source sets its own.

        Raises:
            ValueError: If a series is not longer than the horizon, or that of the source is
                longer than a model of `horizon` steps can forecast.
        """
        panel = load_panel(store_panel(source))
        if (own := panel.horizon or horizon) > horizon:
            raise ValueError(
                f"{type(source).__name__} has a horizon of {own} steps, more than "
                f"horizon={horizon}; set horizon={own}."
            )
        panel = panel.select(np.arange(len(panel.length)) < (limit or len(panel.length)))
        if panel.length.min() <= own:
            worst = panel.length.argmin()
            raise ValueError(
                f"{type(source).__name__}: series {str(panel.name[worst])!r} has "
                f"{panel.length[worst]} steps, no more than the {own} to forecast; leave it out."
            )
        return cls(source, panel, own)

    def windows(self, context: int, scaling: Scaling) -> SeriesWindows:
        """Cuts off the last `horizon` steps of each series, with a context before."""
        refuse_rounding(self.panel, scaling)
        panel, one = self.panel, np.ones_like(self.panel.length)
        cut = panel.length - self.horizon
        error = seasonal_error(panel, cut, panel.season)
        cuts = Cuts(cut, one, 1, panel.length)
        values = MappedArray(store_panel(self.source), map_values)
        return SeriesWindows(values, panel, cuts, error, context, self.horizon, scaling)

    def baselines(self, context: int, scaling: Scaling, number: int | None = None) -> Baselines:
        """Scores simple forecasts of the first series, all if `number` is not given.

        Two of them read the context of a model alone, in any order; see `of_context`.
        """
        windows = self.windows(context, scaling)
        season = self.panel.season
        return score_baselines(
            windows, lambda index, _: windows.past(index), season, number, of_context
        )

    def naive_scores(self, scaling: Scaling) -> tuple[float, float]:
        """Scores the seasonal naive forecast: MASE and WQL; `nan` if 0: no ratio to 0 exists."""
        windows, season = self.windows(SEASONS * self.panel.season, scaling), self.panel.season
        found = score_baselines(windows, lambda index, _: windows.past(index), season)
        scores = found.scores["seasonal naive"]
        return scores["mase"] or float("nan"), scores["wql"] or float("nan")
