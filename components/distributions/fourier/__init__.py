"""Laws that are the squared modulus of a short Fourier series: over cells, an interval, a line."""

from components.distributions.fourier.categorical import FourierCategorical
from components.distributions.fourier.cells import FourierCells
from components.distributions.fourier.density import FourierDensity
from components.distributions.fourier.graded import Graded
from components.distributions.fourier.masses import FourierMasses
from components.distributions.fourier.warped import Warped
from components.distributions.fourier.warps import ErfWarp, TanhWarp, Warp

__all__ = [
    "ErfWarp",
    "FourierCategorical",
    "FourierCells",
    "FourierDensity",
    "FourierMasses",
    "Graded",
    "TanhWarp",
    "Warp",
    "Warped",
]
