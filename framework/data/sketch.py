"""A sketch of examples: a few numbers by which other data are recognized, cheap for any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBER = 32  # examples that are looked at, spread evenly from the first to the last
TOLERANCE = 1e-5  # of real values, which processors compute with different last digits
GOLDEN = 0.6180339887498949  # multiples of it modulo 1 spread evenly, and differ from each other
EXAMPLES = "examples"


def draw(dataset: Any) -> dict[str, Any]:
    """Draws a sketch of a set of examples.

    It holds how many there are and, for 32 of them, a digest of each field of integers and a
    weighted sum of each field of real values. It does not see a change between those examples.

    Args:
        dataset: A `Dataset`, whose batches are NamedTuples of tensors.

    Returns:
        Plain data, for `compare`.
    """
    size = len(dataset)
    chosen = sorted({k * (size - 1) // max(1, NUMBER - 1) for k in range(NUMBER)} if size else ())
    batch = dataset.__getitems__(chosen) if chosen else ()
    fields = {name: _sketch(value.numpy()) for name, value in _tensors(batch)}
    return {EXAMPLES: size, **fields}


def compare(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields the differences of two sketches: what differs, and both values.

    Args:
        there: A sketch.
        here: Another one.
    """
    if there.get(EXAMPLES) != here.get(EXAMPLES):  # then others are looked at
        yield EXAMPLES, _text(there.get(EXAMPLES)), _text(here.get(EXAMPLES))
        return
    for name in dict.fromkeys((*there, *here)):
        one, other = there.get(name), here.get(name)
        if not _is_same(one, other):
            yield f"sample of {name}", _text(one), _text(other)


def _tensors(batch: Any) -> Iterator[tuple[str, Any]]:
    for name in getattr(batch, "_fields", ()):
        value = getattr(batch, name)
        if hasattr(value, "numpy"):
            yield name, value


def _sketch(values: NDArray[Any]) -> str | list[float]:
    """Digests integers; sums real values, `[sum, size of its terms]`."""
    if values.dtype.kind in "iub":
        exact = np.ascontiguousarray(values, np.int64)
        return hashlib.sha256(str(exact.shape).encode() + exact.tobytes()).hexdigest()[:12]
    row = np.nan_to_num(np.asarray(values, np.float64).ravel())
    terms = row * (GOLDEN * np.arange(1, len(row) + 1) % 1)
    return [float(terms.sum()), float(np.abs(terms).sum())]


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return bool(abs(one[0] - other[0]) <= TOLERANCE * max(one[1], other[1]))
    return bool(one == other)


def _text(value: Any) -> str:
    return f"{value[0]:.6g}" if isinstance(value, list) else str(value)
