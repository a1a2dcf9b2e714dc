"""How many phases a share p gives, and which p gives so many: a floor stands in between."""

from __future__ import annotations

import math


def phases(p: float, width: int) -> int:
    """Counts the phases of a FAN layer of `width` outputs: the whole part of `p * width`."""
    return int(p * width)


def share(count: int, width: int) -> float:
    """Returns the p that gives a FAN layer of `width` outputs exactly `count` phases.

    It is the quotient, or the next larger float where the quotient times `width` rounds below
    `count`.

    Example:
        >>> int(29 / 100 * 100), int(share(29, 100) * 100)
        (28, 29)
    """
    p = count / width
    while phases(p, width) < count:
        p = math.nextafter(p, 1.0)
    return p
