"""Callbacks: what happens around training and evaluation, each independent of the others."""

from framework.callbacks.parameters import ParameterTable
from framework.callbacks.predictions import Predictions
from framework.callbacks.progress import Progress
from framework.callbacks.report import Report

__all__ = ["ParameterTable", "Predictions", "Progress", "Report"]
