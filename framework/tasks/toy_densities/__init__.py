"""Toy densities: regression problems whose true conditional distribution is known."""

from framework.tasks.toy_densities.periodic import Periodic
from framework.tasks.toy_densities.processes import Gaussian, Process, SignedBeta, TwoGaussians
from framework.tasks.toy_densities.signals import (
    MixedPeriods,
    MixedProducts,
    ModulatedAmplitude,
    ModulatedPhase,
    Modulo,
    Quotient,
    Sawtooth,
    Signal,
    Sine,
)
from framework.tasks.toy_densities.synthetic import Synthetic

__all__ = [
    "Gaussian",
    "MixedPeriods",
    "MixedProducts",
    "ModulatedAmplitude",
    "ModulatedPhase",
    "Modulo",
    "Periodic",
    "Process",
    "Quotient",
    "Sawtooth",
    "Signal",
    "SignedBeta",
    "Sine",
    "Synthetic",
    "TwoGaussians",
]
