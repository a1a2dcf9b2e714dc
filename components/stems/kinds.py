"""Kinds: each kind of data has a stem of its own, and says so when another is chosen."""

from __future__ import annotations

from typing import TypeVar

from components.data import (
    DensitySpec,
    PromptSpec,
    SequenceSpec,
    SeriesSpec,
    TokenSpec,
    TrajectorySpec,
)

STEMS = {
    TokenSpec: "TokenStem",
    TrajectorySpec: "TrajectoryStem",
    SeriesSpec: "SeriesStem",
    DensitySpec: "FeatureStem",
    SequenceSpec: "SequenceStem",
    PromptSpec: "PromptStem",
}

Kind = TypeVar(
    "Kind", TokenSpec, TrajectorySpec, SeriesSpec, DensitySpec, SequenceSpec, PromptSpec
)


def require(kind: type[Kind], spec: object) -> Kind:
    """Returns the spec if it is of the kind that a stem reads.

    Raises:
        ValueError: If it is of another kind.
    """
    if isinstance(spec, kind):
        return spec
    fitting = next((stem for other, stem in STEMS.items() if isinstance(spec, other)), None)
    remedy = f"choose {fitting}" if fitting else f"publish a {kind.__name__}"
    raise ValueError(
        f"{STEMS[kind]} reads data that publish a {kind.__name__}, these publish a "
        f"{type(spec).__name__}; {remedy}."
    )
