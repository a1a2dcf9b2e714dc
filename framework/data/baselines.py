"""Baselines: how simple predictions score on the data that a model is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Baselines(NamedTuple):
    """Scores of simple predictions, which a table shows beside those of a model."""

    scores: Mapping[str, Mapping[str, float]]  # by the name of the prediction, then of the metric
    notes: Sequence[str] = ()  # what to know about them, a sentence each


NONE = Baselines({})
"""No simple predictions to compare with."""
