"""Stems: batches in, sequences of states out."""

from components.stems.features import FeatureStem
from components.stems.observations import ConvObservation, FlatObservation
from components.stems.prompts import PromptStem
from components.stems.scales import Asinh, CellIndex, Unscaled
from components.stems.sequences import SequenceStem
from components.stems.series import SeriesStem
from components.stems.series_bins import BinnedSeriesStem
from components.stems.tokens import TokenStem
from components.stems.trajectories import TrajectoryStem

__all__ = [
    "Asinh",
    "BinnedSeriesStem",
    "CellIndex",
    "ConvObservation",
    "FeatureStem",
    "FlatObservation",
    "PromptStem",
    "SequenceStem",
    "SeriesStem",
    "TokenStem",
    "TrajectoryStem",
    "Unscaled",
]
