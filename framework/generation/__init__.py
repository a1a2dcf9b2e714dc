"""Texts by a trained language model: continued from prompts, or scored.

from framework import Sampling, generate
generate("best.ckpt", ["The license"], Sampling(length=20, temperature=0.5))
"""

from framework.evaluation.generation import Sampling
from framework.generation.model import Continuation, TextModel, generate

__all__ = ["Continuation", "Sampling", "TextModel", "generate"]
