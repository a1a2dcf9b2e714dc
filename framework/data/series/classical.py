"""Classical methods of forecasting, Theta and ETS, fitted to the past of each series alone."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.metrics.forecasting import LEVELS
from framework.data.cache import cached, fingerprint
from framework.data.series.baselines import Past

Values = NDArray[np.float64]
FILE = "quantiles.npy"
MEDIAN = len(LEVELS) // 2
INTERVALS = tuple(round(100 * (1 - 2 * level)) for level in LEVELS[:MEDIAN])  # in percent


class LocalMethod(ABC):
    """A method that forecasts a series from its own past, without having seen any other."""

    name: str

    @abstractmethod
    def key(self) -> dict[str, object]:
        """Identifies the method in plain values: equal keys make equal forecasts."""

    @abstractmethod
    def forecast(self, past: Values, season: int, horizon: int) -> Values:
        """Forecasts quantiles at `LEVELS`, `[H, 9]`, of a past `[N]` without missing values."""


class Theta(LocalMethod):
    """The dynamic optimized Theta method: half a line, half a smoothed series, best weights.

    Seasons are divided out, or subtracted where values are not positive. Quantiles are the bounds
    of the central intervals, which the package simulates, and the point forecast is the median.

    Raises:
        ValueError: If the package `statsforecast` is missing.

    Source: Fiorucci et al., "Models for optimising the theta method and their relationship to
        state space models" (2016).
    """

    name = "theta"

    def __init__(self) -> None:
        self._version = _version("Theta")

    def key(self) -> dict[str, object]:
        """Names the method and the version of the package."""
        return {"method": "DynamicOptimizedTheta", "statsforecast": self._version}

    def forecast(self, past: Values, season: int, horizon: int) -> Values:
        """Fits the method and reads its intervals."""
        from statsforecast.models import DynamicOptimizedTheta

        return _quantiles(DynamicOptimizedTheta(season_length=season), past, horizon)


class ETS(LocalMethod):
    """Exponential smoothing, with that error, trend and season of which the AICc is best.

    Quantiles are the bounds of the central intervals, and the point forecast is the median.

    Raises:
        ValueError: If the package `statsforecast` is missing.

    Source: Hyndman et al., "A state space framework for automatic forecasting using exponential
        smoothing methods" (2002).
    """

    name = "ets"

    def __init__(self) -> None:
        self._version = _version("ETS")

    def key(self) -> dict[str, object]:
        """Names the method and the version of the package."""
        return {"method": "AutoETS", "statsforecast": self._version}

    def forecast(self, past: Values, season: int, horizon: int) -> Values:
        """Fits the method and reads its intervals."""
        from statsforecast.models import AutoETS

        return _quantiles(AutoETS(season_length=season), past, horizon)


def forecast_locally(
    methods: Sequence[LocalMethod], past: Past, season: int, horizon: int
) -> dict[str, Tensor]:
    """Forecasts windows by each method, from all of their past.

    Missing values are interpolated. Forecasts are kept in the cache, as fits take a while.

    Args:
        methods: The methods.
        past: What is known of each window.
        season: Steps in a season.
        horizon: Steps to forecast.

    Returns:
        Quantiles `[B, H, 9]` by the name of the method; NaN where it fits no model.
    """
    series = list(_filled(past)) if methods else []
    facts = {"season": season, "horizon": horizon}
    content = fingerprint(*(each.tobytes() for each in series))
    found = {}
    for method in methods:

        def build(folder: Path, method: LocalMethod = method) -> None:
            rows = [_attempt(method, each, season, horizon) for each in series]
            np.save(folder / FILE, np.stack(rows))

        folder = cached("forecasts", {**method.key(), **facts, "series": content}, build)
        found[method.name] = torch.from_numpy(np.load(folder / FILE))
    return found


def _filled(past: Past) -> Iterator[Values]:
    """Reads the past of each window, with values on lines in place of those that are missing."""
    for first, cut in zip(past.first, past.cut, strict=True):
        values = past.values[first:cut].astype(np.float64)
        (known,) = np.nonzero(~np.isnan(values))
        yield np.interp(np.arange(len(values)), known, values[known])


def _attempt(method: LocalMethod, past: Values, season: int, horizon: int) -> Values:
    """Forecasts a series; NaN where no model can be fitted, as to a past of two values."""
    nothing = np.full((horizon, len(LEVELS)), np.nan)
    state = np.random.get_state()  # Theta's intervals are drawn from the global generator
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = method.forecast(past, season, horizon)
        except Exception:  # the package raises many kinds, and plain ones too
            return nothing
        finally:
            np.random.set_state(state)
    return found if np.isfinite(found).all() else nothing


def _quantiles(model: Any, past: Values, horizon: int) -> Values:
    """Reads quantiles `[H, 9]` off the central intervals of a model of `statsforecast`."""
    found = model.forecast(y=past, h=horizon, level=sorted(INTERVALS))
    below = [found[f"lo-{interval}"] for interval in INTERVALS]
    above = [found[f"hi-{interval}"] for interval in reversed(INTERVALS)]
    return np.stack([*below, found["mean"], *above], axis=-1).astype(np.float64)


def _version(method: str) -> str:
    try:
        return version("statsforecast")
    except PackageNotFoundError as error:
        raise ValueError(
            f"{method} is fitted by the package statsforecast; run pip install "
            "'overtone[classical]'."
        ) from error
