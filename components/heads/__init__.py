"""Heads: from a hidden state to a predictive distribution."""

from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import MixtureHead, NormalHead, StudentTHead
from components.heads.quantile import QuantileHead

__all__ = [
    "FanHead",
    "FourierHead",
    "LinearHead",
    "MixtureHead",
    "NormalHead",
    "QuantileHead",
    "StudentTHead",
]
