"""Small language models with every kind of output embedding, built and made uneven."""

from functools import partial

import torch

from components.backbones import Decoder
from components.heads import FanHead, LinearHead
from components.layers.norms import LayerNorm
from components.stems import TokenStem
from framework.modules.language import LanguageModel
from framework.papers.token_encoding.pruning.head import PrunedHead
from tests.framework.modules.parts import options
from tests.framework.papers.myopic.models import SPEC

HEADS = {
    "linear": {"head": LinearHead},
    "linear without bias": {"head": partial(LinearHead, bias=False)},
    "fan": {"head": partial(FanHead, layers=2, p=0.5)},
    "pruned": {"head": partial(PrunedHead, kept=5)},
    "tied": {"head": LinearHead, "tied": True},
    "tied without bias": {"head": partial(LinearHead, bias=False), "tied": True},
    "tied fan": {"head": FanHead, "tied": True},
}

DECODER = partial(Decoder, dim=8, depth=1, heads=2, norm=LayerNorm)


def language_model(seed=0, backbone=DECODER, **changes):
    """Builds a model whose parameters all matter."""
    torch.manual_seed(seed)
    parts = options(SPEC, TokenStem, LinearHead, backbone)
    module = LanguageModel(**{**parts, **changes})
    module.configure_model()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.4)
    return module.eval()
