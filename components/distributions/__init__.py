"""Predictive distributions: torch distributions that are lazy and precise."""

from components.distributions.affine import Affine
from components.distributions.atoms import CategoricalWithAtoms, Mixed, WithAtoms
from components.distributions.categorical import Categorical, CategoricalWithSpecials, Discrete
from components.distributions.censored import Censored
from components.distributions.fourier import (
    ErfWarp,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierCells,
    FourierDensity,
    FourierHistogram,
    TanhWarp,
    TransformedFourier,
    Warp,
)
from components.distributions.histogram import Histogram
from components.distributions.linear import LinearCategorical
from components.distributions.mixture import Mixture
from components.distributions.quantiles import Quantiles
from components.distributions.student import StudentT

__all__ = [
    "Affine",
    "Categorical",
    "CategoricalWithAtoms",
    "CategoricalWithSpecials",
    "Censored",
    "Discrete",
    "ErfWarp",
    "EvenFourierCells",
    "EvenFourierDensity",
    "FourierCategorical",
    "FourierCells",
    "FourierDensity",
    "FourierHistogram",
    "Histogram",
    "LinearCategorical",
    "Mixed",
    "Mixture",
    "Quantiles",
    "StudentT",
    "TanhWarp",
    "TransformedFourier",
    "Warp",
    "WithAtoms",
]
