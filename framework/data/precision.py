"""What float32 can hold, in which models compute: how large numbers, and how small differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LARGEST = float(np.finfo(np.float32).max)  # models compute in float32
ROUNDING = 1e-3  # of the steps of a series that float32 may round; else it is kept in float64
NOISE = 1e-12  # of the values: smaller steps are the rounding of a constant


def too_coarse(values: NDArray[np.floating[Any]], first: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether float32 rounds values by more than a thousandth of their steps, `[series]`.

    Medians are compared, so that a jump or an outlier hides nothing. Constants are exact enough.

    Args:
        values: The series, one after the other, NaN where missing, `[N]`.
        first: Where each begins, `[series]`; each has an observed value.
    """
    observed = ~np.isnan(values)
    series = (np.cumsum(np.bincount(first, minlength=len(values))) - 1)[observed]
    exact = values[observed].astype(np.float64)
    step = np.where(np.diff(series, append=-1) == 0, np.abs(np.diff(exact, append=0)), 0.0)
    rounded = np.abs(exact - exact.astype(np.float32))
    frame = pd.DataFrame({"step": np.where(step > 0, step, np.nan), "rounded": rounded})
    typical = frame.assign(size=np.abs(exact)).groupby(series).median()
    moves = typical["step"] > NOISE * typical["size"]
    return np.asarray(moves & (typical["rounded"] > ROUNDING * typical["step"]))
