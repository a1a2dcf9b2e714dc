"""Forecasts what follows the last observation of every series, as a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from components.data import SeriesBatch, SeriesSpec
from framework.checkpoints import read, trained_spec
from framework.data.mapped import MappedArray
from framework.data.series.calendars import Calendar
from framework.data.series.columns import future_covariates
from framework.data.series.covariates import Covariates
from framework.data.series.panels import Panel, PanelSource, load_panel, map_values, store_panel
from framework.data.series.scaling import Scaling, refuse_rounding
from framework.data.series.windows import Cuts, SeriesWindows
from framework.evaluation.rolling import roll_forward
from framework.forecasting.processes import side_by_side
from framework.modules.forecast import Forecaster
from framework.modules.loading import load_module

LEVELS = (0.1, 0.5, 0.9)
PATHS = 100
KEPT = 30 * 2**20  # bytes, below the 32 MiB up to which glibc adapts
SERIES, AT_ONCE = {"cpu": 64}, {"cpu": 100}  # drawn together: more do not fit into its caches
MANY = 256  # series, and paths of each, that are drawn together elsewhere


def forecast(
    model: Forecaster | str | Path,
    source: PanelSource,
    *,
    horizon: int | None = None,
    levels: float | Sequence[float] | NDArray[Any] = LEVELS,
    paths: int = PATHS,
    seed: int = 0,
    scaling: Scaling | None = None,
) -> pd.DataFrame:
    """Forecasts what follows the last observation of every series of a source.

    Futures are drawn path by path; beyond the horizon of training each path continues from its own
    values. A series that is shorter than the context of the model is padded. A model with
    covariates reads those that the source has behind the last value of each series. The same seed
    draws the same paths of the same series in the same order; those of a series alone are others
    than those of it among others, as series are drawn together.

    Args:
        model: A trained forecaster, or the path of its checkpoint.
        source: Where the series come from; those of training, or others.
        horizon: Steps to forecast; as many as in training if not given.
        levels: Levels of the quantiles, between 0 and 1.
        paths: Futures drawn of each series, at least 1; quantiles and means are those of them.
        seed: Seed of the draws.
        scaling: Scales a window by its past; that of training if not given.

    Returns:
        A row per series and step: `id`, `time` (in the calendar of the series, after its last
        observation; time stamps with a zone become UTC), `step` (from 1), `mean`, and a column for
        each level, such as `0.1`.

    Raises:
        ValueError: If an option is out of its range, the model is no trained forecaster, or the
            series cannot be read, a known covariate is not known as far as the horizon, or the
            model predicts NaN.
    """
    if not isinstance(source, PanelSource):
        raise ValueError(
            f"forecast: source is a {type(source).__name__}, from which no series are read; give "
            "a LongTable or WideTable with a table or its path, or Arrays with the values."
        )
    levels = checked_levels(levels)
    numbers: dict[str, tuple[Any, int]] = {
        "horizon": (horizon, 1),
        "paths": (paths, 1),
        "seed": (seed, 0),
    }
    for name, (value, least) in numbers.items():
        if value is not None and not isinstance(value, Integral):
            raise ValueError(f"forecast: {name}={value} is no whole number; use one.")
        if value is not None and value < least:
            raise ValueError(f"forecast: {name}={value} is too small; use at least {least}.")
    module = _opened(model)
    scaling = scaling or _scaling(module)
    panel = load_panel(store_panel(source))
    refuse_rounding(panel, scaling)
    _compare_seasons(panel, module.spec)
    steps = module.spec.horizon if horizon is None else horizon
    covariates = future_covariates(source, panel, module.spec, steps)
    drawn = _futures(module, source, panel, steps, paths, seed, scaling, covariates, levels)
    return _table(panel, np.concatenate(list(drawn)), levels)


def checked_levels(levels: float | Sequence[Any] | NDArray[Any]) -> tuple[float, ...]:
    """Returns levels of quantiles in increasing order.

    Args:
        levels: Numbers, also those of an array `[Q]`, or one number.

    Raises:
        ValueError: If there are none, one is not between 0 and 1, or two are equal.
    """
    several = [levels] if isinstance(levels, float | int) else levels
    levels = [level.item() if isinstance(level, np.generic) else level for level in several]
    wrong = [level for level in levels if not (isinstance(level, float | int) and 0 < level < 1)]
    if wrong:
        raise ValueError(
            f"forecast: level {wrong[0]!r} is not a number between 0 and 1; use one such as 0.9."
        )
    if not levels or len(set(levels)) < len(levels):
        raise ValueError(
            f"forecast: levels={list(levels)} name none or one twice; use some such as 0.1, 0.9."
        )
    return tuple(sorted(float(level) for level in levels))


def require_forecaster(path: str | Path) -> None:
    """Checks that a checkpoint holds a model of series, without building it.

    Raises:
        ValueError: If it cannot be read, or its model forecasts no series.
    """
    checkpoint = read(path)
    if trained_spec(checkpoint, SeriesSpec) is None:
        options = checkpoint.get("hyper_parameters", {})
        kind = str(options.get("_class_path", "model")).rpartition(".")[2]
        raise ValueError(
            f"The checkpoint {str(path)!r} holds a {kind}, which forecasts no series; "
            "give that of a Forecaster."
        )


def summarize(futures: NDArray[np.float64], levels: Sequence[float]) -> NDArray[np.float64]:
    """Computes mean and quantiles of paths `[B, N, H]`: `[B, H, 1 + Q]`."""
    mean, quantiles = futures.mean(1), np.quantile(futures, levels, axis=1)
    return np.concatenate([mean[..., None], np.moveaxis(quantiles, 0, -1)], axis=-1)


def _opened(model: Forecaster | str | Path) -> Forecaster:
    if isinstance(model, str | Path):
        require_forecaster(model)
        loaded = load_module(model)
    else:
        loaded = model
    if not isinstance(loaded, Forecaster):
        raise ValueError(
            f"{type(loaded).__name__} forecasts no series; give a Forecaster or its checkpoint."
        )
    if not hasattr(loaded, "head"):
        raise ValueError("The Forecaster has no parameters yet; train it, or load a checkpoint.")
    return loaded


def _scaling(module: Forecaster) -> Scaling:
    if module.spec.scaling is None:
        raise ValueError(
            "The model does not record how its series were scaled, because its spec was made "
            "without scaling; give scaling, such as MeanScaling()."
        )
    return Scaling.described(module.spec.scaling)


def _compare_seasons(panel: Panel, spec: SeriesSpec) -> None:
    """Warns of series whose season is not the one that the model looks back by."""
    if spec.season not in (1, panel.season):
        warnings.warn(
            f"The series have a season of {panel.season} steps, those of training had one of "
            f"{spec.season}; forecasts may be poor.",
            stacklevel=3,
        )


def _futures(
    module: Forecaster,
    source: PanelSource,
    panel: Panel,
    horizon: int,
    samples: int,
    seed: int,
    scaling: Scaling,
    covariates: Covariates | None,
    levels: Sequence[float],
) -> Iterator[NDArray[np.float64]]:
    """Yields means and quantiles `[B, H, 1 + Q]` of the series, some at a time."""
    spec, device = module.spec, module.device
    one = np.ones_like(panel.length)
    cuts = Cuts(panel.length, one, 1, panel.length)
    values = MappedArray(store_panel(source), map_values)
    unused = np.zeros(len(one))  # the error that scores are relative to
    windows = SeriesWindows(values, panel, cuts, unused, spec.context, spec.horizon, scaling)
    at_once, size = AT_ONCE.get(device.type, MANY), SERIES.get(device.type, MANY)
    torch.empty(KEPT, dtype=torch.uint8)  # glibc then keeps twice as much of what is freed later

    @torch.no_grad()
    def draw(begin: int) -> NDArray[np.float64]:
        index = np.arange(begin, min(begin + size, len(windows)))
        batch = windows.__getitems__(index.tolist())
        beside = None
        if covariates is not None:
            window = covariates.window(index, panel.length[index], spec.context, horizon)
            beside = torch.from_numpy(window).to(device)
        futures = roll_forward(
            module.stem,
            module.backbone,
            module.head,
            SeriesBatch(*(field.to(device) for field in batch)),
            replace(module.paths, samples=samples, at_once=at_once, seed=seed + begin),
            horizon,
            scaling,
            beside,
        )
        found = summarize(futures.double().cpu().numpy(), levels)
        if (unknown := index[np.isnan(found).any((1, 2))]).size:
            raise ValueError(
                f"The model predicts NaN for series {str(panel.name[unknown[0]])!r}; look for "
                "numbers in it that are far beyond those of training, or use another checkpoint."
            )
        return found

    training = module.training
    module.eval()
    try:
        yield from side_by_side(draw, range(0, len(windows), size), device)
    finally:
        module.train(training)


def _table(panel: Panel, values: NDArray[np.float64], levels: Sequence[float]) -> pd.DataFrame:
    """Lays out means and quantiles `[series, H, 1 + Q]` in rows."""
    series, horizon, _ = values.shape
    calendar, step = Calendar.of(panel.frequency), np.arange(1, horizon + 1)
    last = panel.length[:, None] - 1
    times = calendar.times(panel.start[:, None], last + step)
    columns = {
        "id": np.repeat(panel.name.astype(object), horizon),
        "time": times.reshape(-1),
        "step": np.tile(step, series),
        "mean": values[..., 0].reshape(-1),
    }
    quantiles = {str(level): values[..., 1 + k].reshape(-1) for k, level in enumerate(levels)}
    return pd.DataFrame({**columns, **quantiles})
