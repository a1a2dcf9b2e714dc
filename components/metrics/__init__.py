"""Metrics: pure functions that say how good predictions are."""
