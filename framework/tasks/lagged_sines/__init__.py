"""Lagged sines: outcomes depend on features of earlier positions, which models can precompute."""

from framework.tasks.lagged_sines.data import SequenceData
from framework.tasks.lagged_sines.module import SequenceModel
from framework.tasks.lagged_sines.processes import LaggedSines, SequenceProcess

__all__ = [
    "LaggedSines",
    "SequenceData",
    "SequenceModel",
    "SequenceProcess",
]
