"""Scalings: bring windows of series to a common size, by their observed past alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from inspect import isclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from framework.data.precision import too_coarse
from framework.data.series.panels import Panel
from framework.importing import import_path, imported

Values = NDArray[np.float64]
DEGENERATE = {4: 1e-7, 8: 1e-14}
"""Scales that are the rounding of a constant, relative to its size, by bytes of its type."""


class Scaling(ABC):
    """A location and a scale for every window: heads predict `(value - loc) / scale`.

    Checkpoints describe the scaling of their data: one with options is a dataclass of plain data.
    """

    @abstractmethod
    def fit(self, past: Values, observed: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Computes location and scale `[B, 1]` of pasts `[B, C]`; missing values are 0."""

    def __call__(
        self, past: Values, observed: NDArray[np.bool_], dtype: DTypeLike = np.float32
    ) -> tuple[Values, Values]:
        """Computes location and scale `[B, 1]` of pasts `[B, C]`, which are 0 where missing.

        The scale is 1 where it would be 0, as far as values of the type tell.
        """
        loc, scale = self.fit(past, observed)
        tiny = DEGENERATE[np.dtype(dtype).itemsize] * np.abs(past).max(1, keepdims=True)
        return loc, np.where(scale > tiny, scale, 1.0)

    def describe(self) -> dict[str, Any]:
        """Returns class path and options.

        Raises:
            ValueError: If there are options that cannot be read.
        """
        if vars(self) and not is_dataclass(self):
            raise ValueError(
                f"{type(self).__name__} has options that a checkpoint cannot hold; "
                "make it a dataclass of plain data."
            )
        names = [field.name for field in fields(self)] if is_dataclass(self) else list[str]()
        options = {name: getattr(self, name) for name in names}
        return {"class_path": import_path(type(self)), "init_args": options}

    @staticmethod
    def described(description: Mapping[str, Any]) -> Scaling:
        """Makes the scaling that was described so.

        Raises:
            ValueError: If its class cannot be imported, or is no scaling.
        """
        path = description["class_path"]
        kind = imported(path)
        if not (isclass(kind) and issubclass(kind, Scaling)):
            raise ValueError(f"{path} is no Scaling; use a checkpoint that was saved by Overtone.")
        return kind(**description["init_args"])


class MeanScaling(Scaling):
    """Divides by the mean absolute value of the past, so that zero stays zero.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 3.1.
    """

    def fit(self, past: Values, observed: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Computes the mean absolute value."""
        return np.zeros((len(past), 1)), _mean(np.abs(past), observed)


class StandardScaling(Scaling):
    """Subtracts the mean of the past and divides by its standard deviation."""

    def fit(self, past: Values, observed: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Computes mean and standard deviation, without Bessel's correction."""
        loc = _mean(past, observed)
        return loc, np.sqrt(_mean((past - loc) ** 2, observed))


class LastScaling(Scaling):
    """Subtracts the last observed value and divides by the standard deviation of the past.

    What is forecast is then the change from the last value, the same for a series at any level. A
    constant series has no spread; a thousandth of its value takes the place.
    """

    def fit(self, past: Values, observed: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Computes the last value, and the standard deviation without Bessel's correction."""
        last = past.shape[1] - 1 - observed[:, ::-1].argmax(1)
        mean = _mean(past, observed)
        value = past[np.arange(len(past)), last, None]
        spread = np.sqrt(_mean((past - mean) ** 2, observed))
        varies = spread > DEGENERATE[past.itemsize] * np.abs(value)
        return value, np.where(varies, spread, np.abs(value) / 1000)


def refuse_rounding(panel: Panel, scaling: Scaling) -> None:
    """Refuses series whose differences float32 still rounds away when they are scaled.

    Models compute in float32. Of a series such as 2000000000, 2000000001, … the mean scaling
    leaves values that all are 1 to them; only panels in float64 hold such series.

    Raises:
        ValueError: If there is such a series.
    """
    if panel.values.dtype == np.float32:
        return
    for name, values in zip(panel.name, panel.series(), strict=True):
        observed = ~np.isnan(values)[None]
        past = np.where(observed, values, 0.0)
        loc, scale = scaling(past, observed, values.dtype)
        scaled = ((values - loc) / scale)[0]
        if too_coarse(scaled, np.zeros(1, np.int64)).any():
            raise ValueError(
                f"Series {str(name)!r} varies by little around {np.nanmean(values):g}: "
                f"{type(scaling).__name__} leaves differences that float32 rounds away; "
                "use StandardScaling, or subtract a constant from the series."
            )


def _mean(values: Values, observed: NDArray[np.bool_]) -> Values:
    """Averages the observed values of each row, `[B, 1]`; 0 where there are none."""
    total = np.where(observed, values, 0.0).sum(1, keepdims=True)
    return np.asarray(total / np.maximum(observed.sum(1, keepdims=True), 1))
