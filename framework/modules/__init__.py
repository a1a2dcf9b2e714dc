"""Lightning modules: one per kind of data, on one base."""

from framework.modules.base import PredictiveModule
from framework.modules.decision import DecisionModel
from framework.modules.density import DensityModel
from framework.modules.equation import EquationModel
from framework.modules.forecast import Forecaster
from framework.modules.language import LanguageModel
from framework.modules.product import ProductModel
from framework.modules.prompt import PromptModel
from framework.modules.sequence import SequenceModel
from framework.modules.writer import PromptWriter

__all__ = [
    "DecisionModel",
    "DensityModel",
    "EquationModel",
    "Forecaster",
    "LanguageModel",
    "PredictiveModule",
    "ProductModel",
    "PromptModel",
    "PromptWriter",
    "SequenceModel",
]
