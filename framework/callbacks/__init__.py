"""Callbacks of every run, each independent of the others."""

from framework.callbacks.checkpoint import Checkpoint
from framework.callbacks.interruption import Interruption
from framework.callbacks.parameters import ParameterTable
from framework.callbacks.predictions import Predictions
from framework.callbacks.progress import Progress
from framework.callbacks.report import MetricsReport
from framework.callbacks.step_seed import StepSeed

__all__ = [
    "Checkpoint",
    "Interruption",
    "MetricsReport",
    "ParameterTable",
    "Predictions",
    "Progress",
    "StepSeed",
]
