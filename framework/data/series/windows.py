"""Windows of series: a past and a future, cut from one flat array by index arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from components.data import SeriesBatch
from framework.data.mapped import MappedArray
from framework.data.module import Dataset
from framework.data.series.baselines import Past
from framework.data.series.calendars import Calendar, written
from framework.data.series.panels import Panel
from framework.data.series.scaling import Scaling

Integers = NDArray[np.int64]


class Cuts(NamedTuple):
    """Where windows lie in each series: futures begin at `base`, then every `stride`."""

    base: Integers  # [series], steps from the beginning of the series to the first future
    number: Integers  # [series], number of windows
    stride: int
    end: Integers  # [series], steps from the beginning; later values are not targets


class SeriesWindows(Dataset):
    """A context and a horizon at every cut.

    A context that reaches back beyond the beginning of its series is padded on the left,
    unobserved. Missing values and values beyond the end have weight 0, and so does a future whose
    context has no observed value, because nothing sets its scale.

    Args:
        values: The series, one after the other, NaN where missing.
        panel: Where each series begins, its name and time; its own values are not kept.
        cuts: Where the windows lie.
        error: In-sample error of the seasonal naive forecast of each series, `[series]`.
        context: Steps before a cut.
        horizon: Steps after it.
        scaling: Computes location and scale of a window.
    """

    def __init__(
        self,
        values: MappedArray,
        panel: Panel,
        cuts: Cuts,
        error: NDArray[np.float64],
        context: int,
        horizon: int,
        scaling: Scaling,
    ) -> None:
        self.values, self.cuts, self.error = values, cuts, error
        self.panel = panel._replace(values=panel.values[:0])  # a worker gets a copy
        self.context, self.horizon, self.scaling = context, horizon, scaling
        self.last = np.cumsum(cuts.number)  # number of windows up to and with each series

    def __len__(self) -> int:
        return int(self.last[-1])

    def __getitems__(self, indices: list[int]) -> SeriesBatch:
        """Cuts windows `[B]`: pasts `[B, C]` and futures `[B, H]`."""
        series, cut = self._locate(np.asarray(indices))
        past, observed = self._read(series, cut, -self.context, 0)
        target, known = self._read(series, cut, 0, self.horizon)
        dtype = self.values.array.dtype
        return batch_of(past, observed, target, known, self.error[series], self.scaling, dtype)

    def past(self, indices: list[int]) -> Past:
        """Returns the whole past of windows, beyond their context."""
        series, cut = self._locate(np.asarray(indices))
        first = self.panel.first[series]
        return Past(self.values.array, first, first + cut)

    def identify(self, index: int) -> dict[str, Any]:
        """Names the series of a window, and the times of its horizon."""
        series, cut = self._locate(np.asarray([index]))
        calendar = Calendar.of(self.panel.frequency)
        times = calendar.times(self.panel.start[series], cut + np.arange(self.horizon))
        return {"id": str(self.panel.name[series[0]]), "time": written(times)}

    def _locate(self, index: Integers) -> tuple[Integers, Integers]:
        """Returns the series of windows `[B]`, and the step at which their futures begin."""
        series = np.searchsorted(self.last, index, side="right")
        rank = index - (self.last - self.cuts.number)[series]
        return series, self.cuts.base[series] + rank * self.cuts.stride

    def _read(
        self, series: Integers, cut: Integers, begin: int, end: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Reads steps `[cut + begin, cut + end)`: values, 0 where missing, and a mask."""
        step = cut[:, None] + np.arange(begin, end)
        inside = (step >= 0) & (step < self.cuts.end[series][:, None])
        where = self.panel.first[series][:, None] + np.where(inside, step, 0)
        values = self.values[where].astype(np.float64)
        there = inside & np.isfinite(values)
        return np.where(there, values, 0.0), there


def batch_of(
    past: NDArray[np.float64],
    observed: NDArray[np.bool_],
    target: NDArray[np.float64],
    known: NDArray[np.bool_],
    error: NDArray[np.float64],
    scaling: Scaling,
    dtype: DTypeLike = np.float32,
) -> SeriesBatch:
    """Scales windows and makes a batch of them; a future without a past has weight 0.

    Args:
        past: Values before the cuts, 0 where they are missing, `[B, C]`.
        observed: Mask of the observed ones, `[B, C]`.
        target: Values after the cuts, 0 where they are missing, `[B, H]`.
        known: Mask of the observed ones, `[B, H]`.
        error: Error of the seasonal naive forecast before the cuts, `[B]`.
        scaling: Computes location and scale of a window.
        dtype: Type of the values, float64 where float32 would round differences away. Stems
            compute in float32 what they have scaled.
    """
    loc, scale = scaling(past, observed, dtype)
    weight = known & observed.any(1, keepdims=True)
    return SeriesBatch(
        past=torch.from_numpy(past.astype(dtype)),
        observed=torch.from_numpy(observed),
        loc=torch.from_numpy(loc.astype(dtype)),
        scale=torch.from_numpy(scale.astype(dtype)),
        error=torch.from_numpy(error[:, None].astype(dtype)),
        target=torch.from_numpy(target.astype(dtype)),
        weight=torch.from_numpy(weight.astype(np.float32)),
    )


def seasonal_error(panel: Panel, length: Integers, season: int) -> NDArray[np.float64]:
    """Computes the mean absolute error of the seasonal naive forecast within series, for the MASE.

    A series that is not longer than a season is compared with the step before, as
    `gluonts.evaluation` does; in `gluonts.ev` the error of one as long as a season is `nan`.

    Args:
        panel: The series.
        length: Steps of each series to use, `[series]`.
        season: Steps in a season.

    Returns:
        Errors `[series]`; 0 where no pair of values is observed or the series repeats itself, and
        MASE is undefined.

    Source: Hyndman and Koehler, "Another look at measures of forecast accuracy" (2006), section 3.
    """
    values, first = panel.compact()[:2]
    seasonal = _naive_error(values, first, length, season)
    return np.where(length > season, seasonal, _naive_error(values, first, length, 1))


def _naive_error(
    values: NDArray[np.floating[Any]], first: Integers, length: Integers, lag: int
) -> NDArray[np.float64]:
    step = np.abs(values[lag:].astype(np.float64) - values[: len(values[lag:])])
    seen = np.isfinite(step)
    slices = np.stack([first, first + np.maximum(length - lag, 0)], axis=1).reshape(-1)
    total = _slice_sums(np.where(seen, step, 0.0), slices)
    count = _slice_sums(seen.astype(np.float64), slices)
    return np.where(length > lag, total / np.maximum(count, 1), 0.0)


def _slice_sums(values: NDArray[np.float64], slices: Integers) -> NDArray[np.float64]:
    """Sums `values[a:b]` for slices `[a, b, a, b, …]`; an empty slice gives an arbitrary value."""
    padded = np.append(values, 0.0)
    return np.asarray(np.add.reduceat(padded, np.minimum(slices, len(values)))[::2])
