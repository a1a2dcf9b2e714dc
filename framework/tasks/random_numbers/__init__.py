"""Random numbers: texts that describe a distribution, answered by numbers drawn from it."""

from framework.tasks.random_numbers.data import PromptData, PromptTokenData
from framework.tasks.random_numbers.normals import DescribedNormals, Prompts
from framework.tasks.random_numbers.prompt import PromptModel
from framework.tasks.random_numbers.writer import PromptWriter

__all__ = [
    "DescribedNormals",
    "PromptData",
    "PromptModel",
    "PromptTokenData",
    "PromptWriter",
    "Prompts",
]
