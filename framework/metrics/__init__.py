"""Metrics that keep their own state, for programs that evaluate without a module."""

from framework.metrics.smoothness import Smoothness

__all__ = ["Smoothness"]
