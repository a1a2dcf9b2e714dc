"""Callbacks: what happens around training and evaluation, each independent of the others."""

from framework.callbacks.checkpoint import Checkpoint
from framework.callbacks.parameters import ParameterTable
from framework.callbacks.predictions import Predictions
from framework.callbacks.progress import Progress
from framework.callbacks.report import Report
from framework.callbacks.step_seed import StepSeed

__all__ = [
    "Checkpoint",
    "ParameterTable",
    "Predictions",
    "Progress",
    "Report",
    "StepSeed",
]
