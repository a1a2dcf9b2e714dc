"""Functionals of distributions for losses and metrics, in closed form where there is one."""

from components.distributions.functionals.coefficients import coefficient_power
from components.distributions.functionals.information import entropy, log_normalizer
from components.distributions.functionals.masses import probabilities
from components.distributions.functionals.ranked import crps
from components.distributions.functionals.smoothness import roughness
from components.distributions.functionals.vectors import add_components

__all__ = [
    "add_components",
    "coefficient_power",
    "crps",
    "entropy",
    "log_normalizer",
    "probabilities",
    "roughness",
]
