"""Toy densities: regression problems whose true conditional distribution is known."""

from framework.tasks.toy_densities.data import Periodic, Synthetic
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
