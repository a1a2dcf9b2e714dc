"""Lightning modules: one per kind of data, on one base."""

from framework.modules.base import PredictiveModule
from framework.modules.decision import DecisionModel
from framework.modules.density import DensityModel
from framework.modules.forecast import Forecaster
from framework.modules.language import LanguageModel

__all__ = [
    "DecisionModel",
    "DensityModel",
    "Forecaster",
    "LanguageModel",
    "PredictiveModule",
]
