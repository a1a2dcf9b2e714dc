"""Laws that are the squared modulus of a short Fourier series: over cells, over an interval."""

from components.distributions.fourier.categorical import FourierCategorical
from components.distributions.fourier.density import FourierDensity

__all__ = ["FourierCategorical", "FourierDensity"]
