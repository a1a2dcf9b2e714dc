"""The Fourier head (arXiv:2410.22269): its toy study, smoothness and total variation."""

from framework.papers.fourier.metrics import Smoothness, TotalVariation
from framework.papers.fourier.toy import ToyTable

__all__ = [
    "Smoothness",
    "TotalVariation",
    "ToyTable",
]
