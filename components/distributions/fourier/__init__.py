"""Distributions made of a squared short Fourier series: over cells, an interval or the line."""

from components.distributions.fourier.categorical import FourierCategorical, FourierCells
from components.distributions.fourier.density import FourierDensity
from components.distributions.fourier.even import EvenFourierCells, EvenFourierDensity
from components.distributions.fourier.histogram import FourierHistogram
from components.distributions.fourier.transformed import TransformedFourier
from components.distributions.fourier.warps import ErfWarp, TanhWarp, Warp

__all__ = [
    "ErfWarp",
    "EvenFourierCells",
    "EvenFourierDensity",
    "FourierCategorical",
    "FourierCells",
    "FourierDensity",
    "FourierHistogram",
    "TanhWarp",
    "TransformedFourier",
    "Warp",
]
