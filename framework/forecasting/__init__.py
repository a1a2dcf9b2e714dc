"""Forecasts of what follows the last observation of every series, in Python and as a verb."""

from framework.forecasting.future import forecast

__all__ = ["forecast"]
