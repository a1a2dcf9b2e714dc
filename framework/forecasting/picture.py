"""Draws forecasts as fans after the end of their series, with ids and dates."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from framework.data.series.calendars import Calendar
from framework.data.series.panels import Panel
from framework.figures import Fan, draw_fans

SHOWN = 8  # series in a picture
PAST = 4  # horizons of the past that are shown


def draw_future(table: Any, panel: Panel) -> Figure:
    """Draws some of the series, spread over the panel, and what is forecast of them.

    Args:
        table: Forecasts of all series of the panel in its order, as `forecast` returns them.
        panel: The series.

    Returns:
        A figure with a panel per series.
    """
    horizon = int(table["step"].max())
    levels = [float(name) for name in table.columns[4:]]
    count = min(SHOWN, len(panel.length))
    shown = np.linspace(0, len(panel.length) - 1, count).astype(int)
    return draw_fans([_fan(table, panel, k, horizon) for k in shown], levels, "time")


def _fan(table: Any, panel: Panel, k: int, horizon: int) -> Fan:
    rows = table.iloc[k * horizon : (k + 1) * horizon]
    length = int(panel.length[k])
    begin = max(0, length - PAST * horizon)
    first = int(panel.first[k])
    steps = np.arange(begin, length)
    return Fan(
        title=str(panel.name[k]),
        past_times=Calendar.of(panel.frequency).times(panel.start[k : k + 1], steps),
        past=np.asarray(panel.values[first + begin : first + length], np.float64),
        times=rows["time"].to_numpy(),
        quantiles=rows.iloc[:, 4:].to_numpy(),
    )
