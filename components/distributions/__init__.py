"""Predictive distributions: torch distributions that are lazy, precise and tell what is asked."""

from components.distributions.categorical import Categorical
from components.distributions.fourier import FourierCategorical, FourierDensity
from components.distributions.histogram import Histogram

__all__ = ["Categorical", "FourierCategorical", "FourierDensity", "Histogram"]
