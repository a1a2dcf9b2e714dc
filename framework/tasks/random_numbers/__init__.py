"""Random numbers: prompts that describe a distribution, answered by numbers drawn from it."""

from framework.tasks.random_numbers.data import PromptData, PromptTokenData
from framework.tasks.random_numbers.module import PromptModel, PromptWriter
from framework.tasks.random_numbers.normals import DescribedNormals, Prompts

__all__ = [
    "DescribedNormals",
    "PromptData",
    "PromptModel",
    "PromptTokenData",
    "PromptWriter",
    "Prompts",
]
