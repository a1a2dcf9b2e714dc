"""Decoders for myopic attention, and what it means there: decoding with a constant cache."""

import math
from functools import partial

import torch
from torch import nn
from torch.nn.functional import linear

from components.backbones import Decoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.fan import FanLayer
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.myopic.attention import Myopic
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, NoPositions

DIM, DEPTH, HEADS, BATCH, SIZE = 16, 3, 4, 2, 6
FAN = partial(FanLayer, activation=nn.Identity)
HIDDEN, KEYS = partial(Myopic, constant="hidden"), partial(Myopic, constant="keys")
VARIANTS = {"hidden": HIDDEN, "keys": KEYS}


class Short(Learned):
    """Learned positions for the lengths of these tests."""

    def __init__(self, dim, heads, head_dim):
        super().__init__(dim, heads, head_dim, length=2 * SIZE)


DECODERS = {
    "rotary": {},
    "unmarked": {"positions": NoPositions, "bias": True},
    "gpt2": {"positions": Short, "norm": LayerNorm, "bias": True},
    "grouped": {"kv_heads": 2, "feedforward": SwiGLU},
    "multi-query": {"kv_heads": 1, "positions": NoPositions, "head_dim": 6},
    "fanformer": {"kv_heads": 2, "projection": FAN, "feedforward": SwiGLU},
    "own values": {"kv_heads": 2, "projection": FAN, "value": FAN, "bias": True},
    "normed": {"qk_norm": RMSNorm, "kv_heads": 2},
}


def decoder(attention=ScaledDotProduct, dtype=torch.float64, depth=DEPTH, **options):
    """Builds a decoder whose residual maps are not tiny, so that every path matters."""
    torch.manual_seed(0)
    given = {"feedforward": FeedForward, **options}
    backbone = Decoder(DIM, depth, HEADS, attention=attention, **given)
    for name, parameter in backbone.named_parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.3)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.5)
    return backbone.to(dtype)


def states(dtype=torch.float64, size=SIZE, batch=BATCH):
    """Draws states `[B, S, D]`, a leaf."""
    torch.manual_seed(1)
    return torch.randn(batch, size, DIM, dtype=dtype).requires_grad_()


def losses(hidden):
    """Makes a loss for each position, `[S]`, of hidden states `[B, S, D]`."""
    torch.manual_seed(2)
    target = torch.randn(hidden.shape, dtype=torch.float64).to(hidden.dtype)
    return (hidden * target).tanh().square().sum((0, 2))


def gradients(backbone, given):
    """Returns the gradients of the sum of all losses, by name, and that of the states."""
    leaves = dict(backbone.named_parameters()) | {"states": given}
    total = losses(backbone(Embedded(given))).sum()
    found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def decoded(backbone, given, constant):
    """Returns the same gradients for a loss that sees the past as a constant cache.

    It decodes position by position. With `constant="keys"` the cache holds keys and values, with
    "hidden" what the matrices of keys and values read, which are applied to it anew.
    """
    leaves = dict(backbone.named_parameters()) | {"states": given}
    total = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    cache = [[] for _ in backbone.blocks]
    sums = []
    for t in range(given.shape[1]):
        index = torch.full((1, 1), t)
        hidden = backbone.positions(given[:, t : t + 1], index)
        for block, kept in zip(backbone.blocks, cache, strict=True):
            hidden = hidden + _attend(block, block.attention_norm(hidden), index, kept, constant)
            hidden = hidden + block.feedforward(block.feedforward_norm(hidden))
        sums.append(backbone.norm(hidden))
        padded = torch.zeros_like(given).index_copy(1, torch.tensor([t]), sums[-1])
        loss = losses(padded)[t]
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, found, strict=True):
            total[name] += 0 if gradient is None else gradient
    return total, torch.cat(sums, 1).detach()


def _attend(block, normed, index, kept, constant):
    """Attends from one state `[B, 1, D]` to itself and to what is kept, and keeps the state."""
    layer = block.attention
    source = layer.projection(normed)
    key, value = _key_value(layer, source, normed, index)
    entries = [(place, *_recalled(layer, entry, place, constant)) for place, entry in kept]
    entries.append((index, key, value))
    kept.append((index, (key.detach(), value.detach(), source.detach(), normed.detach())))
    query = _heads(layer, layer.query(source))
    query = layer.query_norm(query)
    query, _ = layer.rotate(query, query, index)
    share = query.shape[1] // key.shape[1]
    keys = torch.cat([k for _, k, _ in entries], 2).repeat_interleave(share, 1)
    values = torch.cat([v for _, _, v in entries], 2).repeat_interleave(share, 1)
    scores = (query @ keys.mT) / math.sqrt(layer.head_dim)
    gathered = (scores - scores.logsumexp(-1, keepdim=True)).exp() @ values
    return layer.out(gathered.transpose(1, 2).flatten(2))


def _recalled(layer, entry, place, constant):
    key, value, source, normed = entry
    return (key, value) if constant == "keys" else _key_value(layer, source, normed, place)


def _key_value(layer, source, normed, index):
    """Makes the key and the value `[B, G, 1, E]` of a state."""
    if layer.value is None:
        bias = layer.key_value.bias
        halves = (
            layer.key_value.weight.chunk(2),
            bias.chunk(2) if bias is not None else (None,) * 2,
        )
        key, value = (linear(source, weight, added) for weight, added in zip(*halves, strict=True))
    else:
        key, value = layer.key(source), layer.value(normed)
    key = layer.key_norm(_heads(layer, key))
    _, key = layer.rotate(key, key, index)
    return key, _heads(layer, value)


def _heads(layer, vectors):
    return vectors.unflatten(-1, (-1, layer.head_dim)).transpose(1, 2)


def error(found, expected):
    """Returns the largest relative error, over tensors by name."""
    return max(
        ((found[name] - each).norm() / each.norm().clamp(min=1e-9)).item()
        for name, each in expected.items()
    )
