"""Predictive distributions: torch distributions that are lazy and precise."""

from components.distributions.affine import Affine
from components.distributions.categorical import Categorical, CategoricalWithSpecials, Discrete
from components.distributions.fourier import (
    ErfWarp,
    FourierCategorical,
    FourierCells,
    FourierDensity,
    FourierHistogram,
    TanhWarp,
    TransformedFourier,
    Warp,
)
from components.distributions.histogram import Histogram
from components.distributions.mixture import Mixture
from components.distributions.quantiles import Quantiles
from components.distributions.student import StudentT

__all__ = [
    "Affine",
    "Categorical",
    "CategoricalWithSpecials",
    "Discrete",
    "ErfWarp",
    "FourierCategorical",
    "FourierCells",
    "FourierDensity",
    "FourierHistogram",
    "Histogram",
    "Mixture",
    "Quantiles",
    "StudentT",
    "TanhWarp",
    "TransformedFourier",
    "Warp",
]
