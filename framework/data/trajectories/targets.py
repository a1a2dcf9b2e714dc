"""Target returns: what a policy is asked for, in one evaluation or in several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def target_list(returns: float | Sequence[float]) -> tuple[float, ...]:
    """Returns the target returns as a tuple.

    Args:
        returns: One or several, in the units of the rewards.

    Raises:
        ValueError: If there is none, one is not finite, or two are equal.
    """
    targets = tuple(np.asarray(returns, np.float64).ravel().tolist())
    if not targets or not all(map(math.isfinite, targets)):
        raise ValueError(
            f"Target returns must be finite numbers, got {list(targets)}; give one or several, "
            "such as [20, 40]."
        )
    again = [target for k, target in enumerate(targets) if target in targets[:k]]
    if again:
        raise ValueError(f"The target return {written(again[0])} is given twice; drop one.")
    return targets


def written(target: float) -> str:
    """Writes a target return as short as it can be told from others: 20, -150.5.

    Example:
        >>> written(20.0), written(-150.5), written(1234567.0)
        ('20', '-150.5', '1234567')
    """
    return f"{target:.15g}"
