"""Heads: from a hidden state to a predictive distribution."""

from components.heads.even import EvenMixtureHead
from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import MixtureHead, NormalHead, StudentTHead
from components.heads.point import PointHead
from components.heads.quantile import QuantileHead

__all__ = [
    "EvenMixtureHead",
    "FanHead",
    "FourierHead",
    "LinearHead",
    "MixtureHead",
    "NormalHead",
    "PointHead",
    "QuantileHead",
    "StudentTHead",
]
