"""Losses: the terms of an objective, each a function of the prediction and the target."""

from components.losses.gaussian_labels import HLGauss
from components.losses.likelihood import CRPS, LabelSmoothing, NegativeLogLikelihood
from components.losses.pointwise import Huber, Pinball, SquaredError
from components.losses.regularizers import CoefficientPenalty, Entropy, Roughness, ZLoss

__all__ = [
    "CRPS",
    "CoefficientPenalty",
    "Entropy",
    "HLGauss",
    "Huber",
    "LabelSmoothing",
    "NegativeLogLikelihood",
    "Pinball",
    "Roughness",
    "SquaredError",
    "ZLoss",
]
