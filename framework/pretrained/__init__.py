"""Pretrained language models as stem, backbone and head, read from a local directory or the hub.

They need the package transformers (`pip install 'overtone[hf]'`), which is imported when the first
part is built.
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
