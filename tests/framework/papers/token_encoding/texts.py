"""Random text in which some tokens come more often than others, and a small model of it."""

from functools import partial

import torch

from components.backbones.decoder import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads.linear import LinearHead
from components.stems.tokens import TokenStem
from components.supports import Tokens
from framework.data.module import Dataset, PredictiveData
from framework.modules.language import LanguageModel
from tests.framework.modules.parts import options

SIZE, KNOWN, DIM, LENGTH = 60, 55, 8, 6
SPEC = TokenSpec(Tokens(SIZE), length=LENGTH)


class Windows(Dataset):
    """Random windows in which low tokens come more often; the last position does not count."""

    def __init__(self, size=48, seed=0):
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(size, LENGTH + 1, generator=generator).square() * KNOWN
        self.ids = draws.long()

    def __len__(self):
        return len(self.ids)

    def __getitems__(self, indices):
        ids = self.ids[indices]
        weight = torch.ones(len(indices), LENGTH)
        weight[:, -1] = 0
        return TokenBatch(ids[:, :-1], ids[:, 1:], weight)


class Text(PredictiveData):
    """Such windows, those of validation others than those of training."""

    spec = SPEC

    def dataset(self, split):
        return Windows(seed=["train", "val"].index(split))


class CountedText(Text):
    """Text that knows its vocabulary and how often each token occurs."""

    vocabulary_size = KNOWN

    def counts(self):
        return torch.bincount(Windows(seed=0).ids.flatten(), minlength=SIZE)


def model(stem=TokenStem, head=LinearHead, dim=DIM, dropout=0.0, **changes):
    """Makes a model that is not built yet."""
    torch.manual_seed(3)
    backbone = partial(Decoder, dim=dim, depth=1, heads=2, dropout=dropout)
    return LanguageModel(**options(SPEC, stem, head, backbone), **changes)
