"""Shared parts of analyses: samples, hidden states by layer, least squares and reports."""

from framework.analysis.least_squares import LeastSquares
from framework.analysis.regression import Regression, regress
from framework.analysis.report import Report
from framework.analysis.sample import Sample

__all__ = [
    "LeastSquares",
    "Regression",
    "Report",
    "Sample",
    "regress",
]
