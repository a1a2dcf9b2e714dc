"""What analyses of a trained model share: a sample, states by layer, least squares and reports."""

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
