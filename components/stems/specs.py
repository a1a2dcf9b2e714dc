"""Which stem reads which data, and the error if another one is chosen."""

from __future__ import annotations

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
    PromptSpec: "TokenStem",
    TrajectorySpec: "TrajectoryStem",
    SeriesSpec: "SeriesStem",
    DensitySpec: "FeatureStem",
    SequenceSpec: "FeatureStem",
}


def require(spec: object, *kinds: type) -> None:
    """Checks that data are of a kind that a stem reads.

    Args:
        spec: What the data publish.
        kinds: Classes of specs that the stem reads.

    Raises:
        ValueError: If the data are of another kind.
    """
    if isinstance(spec, kinds):
        return
    fitting = next((stem for kind, stem in STEMS.items() if isinstance(spec, kind)), None)
    wanted = " or a ".join(kind.__name__ for kind in kinds)
    raise ValueError(
        f"{STEMS[kinds[0]]} reads data that publish a {wanted}, these publish a "
        f"{type(spec).__name__}; " + (f"choose {fitting}." if fitting else f"publish a {wanted}.")
    )
