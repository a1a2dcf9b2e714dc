"""Lightning modules: one per kind of data, on one base; and what loads those of checkpoints."""

from framework.modules.base import PredictiveModule
from framework.modules.decision import DecisionModel
from framework.modules.density import DensityModel
from framework.modules.forecast import Forecaster
from framework.modules.language import LanguageModel
from framework.modules.loading import load_module

__all__ = [
    "DecisionModel",
    "DensityModel",
    "Forecaster",
    "LanguageModel",
    "PredictiveModule",
    "load_module",
]
