"""Stems: batches in, sequences of states out."""

from components.stems.features import FeatureStem
from components.stems.observations import ConvObservation, FlatObservation
from components.stems.series import SeriesStem
from components.stems.tokens import TokenStem
from components.stems.trajectories import TrajectoryStem

__all__ = [
    "ConvObservation",
    "FeatureStem",
    "FlatObservation",
    "SeriesStem",
    "TokenStem",
    "TrajectoryStem",
]
