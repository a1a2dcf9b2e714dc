"""Metrics that keep their own state, for programs that evaluate without a module."""

from framework.metrics.smoothness import Smoothness
from framework.metrics.token_statistics import TokenStatistics
from framework.metrics.variation import TotalVariation

__all__ = ["Smoothness", "TokenStatistics", "TotalVariation"]
