"""Lagged sines: sequences in which some positions must use what an earlier one could prepare."""

from framework.tasks.lagged_sines.data import SequenceData
from framework.tasks.lagged_sines.module import SequenceModel
from framework.tasks.lagged_sines.processes import LaggedSines, SequenceProcess

__all__ = [
    "LaggedSines",
    "SequenceData",
    "SequenceModel",
    "SequenceProcess",
]
