"""Losses: the terms of an objective, each a functional of what was predicted and what happened."""

from components.losses.likelihood import LabelSmoothing, NegativeLogLikelihood
from components.losses.pointwise import Huber, Pinball, SquaredError
from components.losses.regularizers import CoefficientPenalty, Entropy, Roughness, ZLoss
from components.losses.scores import CRPS

__all__ = [
    "CRPS",
    "CoefficientPenalty",
    "Entropy",
    "Huber",
    "LabelSmoothing",
    "NegativeLogLikelihood",
    "Pinball",
    "Roughness",
    "SquaredError",
    "ZLoss",
]
