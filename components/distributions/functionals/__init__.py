"""Numbers that a loss or a metric asks of any law: one function each, closed where it can be."""

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
