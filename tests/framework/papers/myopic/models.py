"""A small causal model of random tokens, and examples of them, for the analyses."""

from functools import partial

import torch

from components.backbones.decoder import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads.linear import LinearHead
from components.stems.tokens import TokenStem
from components.supports import Tokens
from framework.data.module import Dataset
from framework.modules.language import LanguageModel
from tests.framework.modules.parts import options

SPEC = TokenSpec(Tokens(7), length=6)


class Windows(Dataset):
    """Fixed random windows; some positions do not count, the last windows are shorter."""

    def __init__(self, size: int, length: int = SPEC.length, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randint(0, 7, (size, length + 1), generator=generator)
        weight = (torch.rand(size, length, generator=generator) < 0.8).float()
        self.batch = TokenBatch(draws[:, :-1], draws[:, 1:], weight)

    def __len__(self) -> int:
        return len(self.batch.tokens)

    def __getitems__(self, indices: list[int]) -> TokenBatch:
        return TokenBatch(*(field[indices] for field in self.batch))


def model(seed: int = 0, **changes: object) -> LanguageModel:
    """Builds a model with matrices large enough that all of its parts matter."""
    backbone = partial(Decoder, **{"dim": 8, "depth": 3, "heads": 2, **changes})
    torch.manual_seed(seed)
    module = LanguageModel(**options(SPEC, TokenStem, LinearHead, backbone))
    module.configure_model()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * 0.5)
    return module
