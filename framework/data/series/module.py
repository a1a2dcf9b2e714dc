"""Panels of time series, as windows of a context and a horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from components.data import SeriesSpec
from components.supports import Interval
from framework.checkpoints import trained_spec
from framework.data.baselines import NONE, Baselines
from framework.data.mapped import MappedArray
from framework.data.module import PredictiveData
from framework.data.series.baselines import METRICS, score_baselines
from framework.data.series.columns import require_columns
from framework.data.series.covariates import Covariates
from framework.data.series.panels import Panel, PanelSource, load_panel, map_values, store_panel
from framework.data.series.scaling import MeanScaling, Scaling, refuse_rounding
from framework.data.series.windows import Cuts, SeriesWindows, seasonal_error

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class SeriesData(PredictiveData):
    """Forecasts the end of every series from what came before.

    The test windows are the last of each series. The window before them validates; everything
    before is for training, where a window may start its future at any step that has at least one
    horizon of past (less in short series), because a few values determine a scale poorly. Values
    keep their own units; each window comes with its location and scale.

    Args:
        source: Where the series come from.
        context: Steps of the past that a model sees.
        horizon: Steps to forecast. A competition sets its own.
        season: Steps in a season; that of the source if not given.
        scaling: Scales a window by its observed past; by the mean absolute value if not given.
        interval: Bounds of the scaled values `(value - loc) / scale` that heads cover.
        windows: Test windows of each series; more than one is a rolling evaluation.
        stride: Steps from one test window to the next; as many as the horizon if not given.
        shortest: Series with fewer steps are left out.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If an option is out of its range, a series is too short, or the source cannot
            be read.
    """

    def __init__(
        self,
        source: PanelSource,
        context: int = 72,
        horizon: int | None = None,
        season: int | None = None,
        scaling: Scaling | None = None,
        interval: tuple[float, float] = (-15.0, 15.0),
        windows: int = 1,
        stride: int | None = None,
        shortest: int = 0,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(**options)
        numbers = {"context": context, "horizon": horizon, "season": season}
        for name, value in {**numbers, "windows": windows, "stride": stride}.items():
            if value is not None and value < 1:
                raise ValueError(f"SeriesData: {name}={value} is too small; use at least 1.")
        self.source, self.context, self.scaling = source, context, scaling or MeanScaling()
        self.interval = Interval(*interval)
        self.windows, self.shortest = windows, shortest
        self._horizon, self._season, self._stride = horizon, season, stride
        self._trained: SeriesSpec | None = None

    @cached_property
    def panel(self) -> Panel:
        """The series that are long enough; their values stay on disk."""
        panel = load_panel(self._file)
        panel = panel.select(panel.length >= self.shortest)
        refuse_rounding(panel, self.scaling)
        return panel

    @cached_property
    def covariates(self) -> Covariates | None:
        """What comes beside the series that are long enough, None if nothing does."""
        found = self.source.covariates()
        return found and found.select(load_panel(self._file).length >= self.shortest)

    @property
    def horizon(self) -> int:
        """Steps to forecast.

        Raises:
            ValueError: If neither the source nor an option sets it, or they disagree.
        """
        own = self.panel.horizon
        if own is None and self._horizon is None:
            raise ValueError(
                f"SeriesData: {type(self.source).__name__} does not set how far to forecast; "
                "set horizon."
            )
        if own is not None and self._horizon not in (None, own):
            raise ValueError(
                f"SeriesData: {type(self.source).__name__} sets a horizon of {own} steps; "
                f"drop horizon={self._horizon}."
            )
        return own or self._horizon or 1

    @property
    def season(self) -> int:
        """Steps in a season, 1 where there is none."""
        return self._season or self.panel.season

    @property
    def spec(self) -> SeriesSpec:
        """Facts of the panel."""
        facts = (self.interval, self.context, self.horizon, self.season)
        covariates = self.covariates
        described = covariates.describe(self._cuts["train"].end) if covariates else ()
        if self._trained is not None:
            described = self._trained.covariates
        return SeriesSpec(*facts, scaling=self.scaling.describe(), covariates=described)

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes over how covariates were scaled.

        Raises:
            ValueError: If values would be scaled in another way than those of the checkpoint were,
                or other columns stand beside them.
        """
        trained = trained_spec(checkpoint, SeriesSpec)
        if trained is None:
            return
        if trained.scaling not in (None, self.scaling.describe()):
            kind = str(trained.scaling["class_path"]).rpartition(".")[2]
            raise ValueError(
                f"SeriesData: the model was trained on values scaled by {kind} with other options "
                f"than {type(self.scaling).__name__} has here; drop data.scaling."
            )
        if trained.support != self.interval:
            raise ValueError(
                f"SeriesData: the model predicts scaled values on {trained.support}, the data say "
                f"{self.interval}; drop data.interval."
            )
        if self.covariates is not None or trained.covariates:
            require_columns(self.source, trained)
        self._trained = trained

    def dataset(self, split: str) -> SeriesWindows:
        """Returns the windows of a split; those to predict are the test windows."""
        cuts = self._cuts["test" if split == "predict" else split]
        seen = cuts.end if split == "train" else cuts.base
        panel = self.panel
        error = seasonal_error(panel, seen, self.season)
        values = MappedArray(self._file, map_values)
        window = (self.context, self.horizon, self.scaling, self.covariates)
        return SeriesWindows(values, panel, cuts, error, *window)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Moves a batch to a device.

        Raises:
            ValueError: If its values need float64, which the device does not have.
        """
        if device.type == "mps" and batch.past.dtype == torch.float64:
            raise ValueError(
                "SeriesData: a series varies too little for its level in float32, and MPS devices "
                "have no float64; set trainer.accelerator to cpu, or subtract a constant from it."
            )
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def baselines(self, split: str, batches: Sequence[float], metrics: Set[str]) -> Baselines:
        """Scores simple forecasts of the windows, which know the whole past of a series."""
        if metrics.isdisjoint(METRICS):
            return NONE
        windows = self.dataset(split)
        number = self._evaluated(windows, batches[0])
        return score_baselines(windows, lambda index, _: windows.past(index), self.season, number)

    @cached_property
    def _cuts(self) -> dict[str, Cuts]:
        panel, horizon = self.panel, self.horizon
        stride = self._stride or horizon
        test = panel.length - horizon - (self.windows - 1) * stride
        validation = test - horizon
        self._check(validation)
        one = np.ones_like(test)
        latest = np.maximum(validation - horizon, 1)
        earliest = np.minimum(horizon, latest)
        training = np.where(validation > 1, latest - earliest + 1, 0)
        return {
            "train": Cuts(earliest, training, 1, validation),
            "val": Cuts(validation, one, 1, test),
            "test": Cuts(test, one * self.windows, stride, panel.length),
        }

    def _check(self, validation: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Refuses series without a past, and panels without a future to learn from."""
        if not len(validation):
            raise ValueError(
                f"SeriesData: no series has shortest={self.shortest} steps; lower it."
            )
        if validation.min() < 1:
            panel, worst = self.panel, validation.argmin()
            needed = panel.length[worst] - validation[worst] + 1
            leave_out = f"set shortest={needed} or " if panel.length.max() >= needed else ""
            raise ValueError(
                f"SeriesData: series {str(panel.name[worst])!r} has {panel.length[worst]} "
                f"steps, but one of past, a window to validate and windows={self.windows} "
                f"to test take {needed}; {leave_out}lower the horizon ({self.horizon})."
            )
        if validation.max() < 2:
            raise ValueError(
                "SeriesData: no series has a step left to train on before those to evaluate; "
                f"lower the horizon ({self.horizon})."
            )

    @cached_property
    def _file(self) -> Path:
        return store_panel(self.source)
