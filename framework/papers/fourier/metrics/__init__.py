"""Torchmetrics of this paper, for programs that evaluate without a module."""

from framework.papers.fourier.metrics.smoothness import Smoothness
from framework.papers.fourier.metrics.variation import TotalVariation

__all__ = ["Smoothness", "TotalVariation"]
