"""Families of published models, as the library transformers saves them."""

from framework.exchange.families.family import Family
from framework.exchange.families.gemma import GEMMA, GEMMA2, GEMMA3
from framework.exchange.families.gpt import GPT2, NEOX
from framework.exchange.families.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from framework.exchange.families.olmo import OLMO1, OLMO2, OLMO3
from framework.exchange.families.t5 import CHRONOS, T5

FAMILIES: tuple[Family, ...] = (
    *(GPT2, LLAMA, MISTRAL, QWEN2, QWEN3, OLMO1, OLMO2, OLMO3, NEOX, GEMMA, GEMMA2, GEMMA3),
    *(CHRONOS, T5),  # in this order, as T5 does not look for what marks Chronos
)

__all__ = ["FAMILIES", "Family"]
