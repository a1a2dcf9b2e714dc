"""Benchmark sets: series whose ends are forecast by models that were trained on others."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from framework.data.mapped import Mapped
from framework.data.series.naive import naive_scores
from framework.data.series.panels import Competition, Panel, PanelSource
from framework.data.series.scaling import Scaling
from framework.data.series.store import flat, load, stored
from framework.data.series.windows import Cuts, SeriesWindows, seasonal_error

SEASONS_OF_PAST = 4  # that the seasonal naive forecast looks back on for a value that is there


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


class BenchmarkSet(NamedTuple):
    """Series of a benchmark, and how far to forecast them."""

    source: PanelSource
    panel: Panel
    horizon: int

    @classmethod
    def of(cls, source: PanelSource, horizon: int, limit: int | None) -> BenchmarkSet:
        """Opens the first series of a source; `horizon` steps, unless it says how many.

        Raises:
            ValueError: If a series is not longer than the horizon, or that of the source is
                longer than a model of `horizon` steps can forecast.
        """
        panel = load(stored(source))
        if (own := panel.horizon or horizon) > horizon:
            raise ValueError(
                f"{type(source).__name__} asks for {own} steps and horizon={horizon} is shorter; "
                f"set horizon={own}."
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
        panel, one = self.panel, np.ones_like(self.panel.length)
        cut = panel.length - self.horizon
        error = seasonal_error(panel, cut, panel.season)
        cuts = Cuts(cut, one, 1, panel.length)
        values = Mapped(stored(self.source), flat)
        return SeriesWindows(values, panel.first, cuts, error, context, self.horizon, scaling)

    def naive_scores(self, scaling: Scaling) -> tuple[float, float]:
        """Scores the seasonal naive forecast: MASE and WQL."""
        windows = self.windows(SEASONS_OF_PAST * self.panel.season, scaling)
        return naive_scores(windows, self.panel.season)


class Published(NamedTuple):
    """A score that somebody published."""

    model: str
    benchmark: str
    mase: float
    wql: float


def published_scores() -> list[Published]:
    """Reads what the authors of Chronos published for the eight sets of `competitions`.

    Models are `seasonal-naive` and `chronos-t5-{tiny,mini,small,base,large}`, zero-shot.

    Source: results of github.com/amazon-science/chronos-forecasting (Apache-2.0).
    """
    text = files("framework.data.series").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [Published(r["model"], r["benchmark"], float(r["mase"]), float(r["wql"])) for r in rows]
