"""Pretrained language models: their parts in the places of ours, read from a local directory.

They need the package transformers (`pip install 'overtone[hf]'`), which is imported when a part is
built, and not before.
"""

from framework.pretrained.decoder import PretrainedDecoder
from framework.pretrained.embedding import PretrainedEmbedding
from framework.pretrained.head import PretrainedHead
from framework.pretrained.tokenizer import PretrainedTokenizer
from framework.pretrained.tuning import Frozen, Full, LowRank, Tuning

__all__ = [
    "Frozen",
    "Full",
    "LowRank",
    "PretrainedDecoder",
    "PretrainedEmbedding",
    "PretrainedHead",
    "PretrainedTokenizer",
    "Tuning",
]
