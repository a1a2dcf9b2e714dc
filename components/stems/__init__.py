"""Stems: batches in, sequences of states out."""

from components.stems.features import Asinh, CellIndex, FeatureStem, Unscaled
from components.stems.observations import ConvObservation, FlatObservation
from components.stems.pairs import PairStem
from components.stems.patches import PatchStem
from components.stems.series import BinnedSeriesStem, SeriesStem
from components.stems.tokens import TokenStem
from components.stems.trajectories import TrajectoryStem

__all__ = [
    "Asinh",
    "BinnedSeriesStem",
    "CellIndex",
    "ConvObservation",
    "FeatureStem",
    "FlatObservation",
    "PairStem",
    "PatchStem",
    "SeriesStem",
    "TokenStem",
    "TrajectoryStem",
    "Unscaled",
]
