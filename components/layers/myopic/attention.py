"""Attention without gradients into the past, without a past, and with a given one."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from components.layers.attention import AttentionOperator, ScaledDotProduct
from components.layers.cache import LayerCache
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.past import FrozenLayerCache
from components.layers.myopic.reference import diagonal_attention
from components.layers.myopic.streams import parameter_streams


class Myopic(AttentionOperator):
    r"""Attention whose past keys and values receive no gradient.

    The loss of position t has a gradient for what position t computes, in every layer, and none
    for what the positions that it attends to compute: their states are constants. The model learns
    to predict the present and is not trained to prepare the future; how much worse it becomes
    measures how much models plan ahead. The forward pass is that of `ScaledDotProduct`, and
    checkpoints load with either.

    Without gradients, and with a cache, it *is* `ScaledDotProduct`. Otherwise it costs little more
    where torch has a fused kernel; where it has none, as with dropout or `RelativeBias`, it costs
    as much as attention with all scores in memory.

    All positions except a position itself are its past, also those of a context that is a prefix:
    nothing trains a context then, unless its positions predict too. No other part of a model may
    combine positions.

    Args:
        constant: What is constant at past positions. "hidden": the hidden states that keys and
            values are made of, so that their matrices still learn how to attend to the past.
            "keys": keys and values themselves, so that their matrices learn from the present
            alone. With a bias of keys and no rotation, "keys" lets that bias drift, because the
            loss does not depend on it.
        dropout: Probability to drop an attention weight while training.
        scale: Factor of queries · keys, 1/√E if not given.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
    (arXiv:2404.00859), myopic gradient descent; theirs is "hidden".
    """

    one_stream = False

    def __init__(
        self,
        constant: Literal["hidden", "keys"] = "hidden",
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.constant, self.dropout, self.scale = constant, dropout, scale
        self.ordinary = ScaledDotProduct(dropout, scale)

    def streams(self, project: nn.Module, source: Tensor) -> tuple[Tensor, Tensor]:
        """Projects states `[B, S, D]`; with "hidden" the second stream trains parameters only."""
        if self.constant == "keys" or not torch.is_grad_enabled():
            return super().streams(project, source)
        return parameter_streams(project, source)

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `past`, which includes their own positions."""
        if not torch.is_grad_enabled() or own.keys.shape != past.keys.shape:
            attended: Tensor = self.ordinary(queries, own, past, mask)
            return attended
        if self.constant == "keys":
            past = KeyValue(own.keys.detach(), own.values.detach())
        drop = self.dropout if self.training else 0.0
        return separated_attention(queries, own, past, mask, drop, self.scale)


class Bigram(AttentionOperator):
    """Attends to the position itself, and to zeros in place of all others, also in evaluation.

    A prediction then depends on the last token and on how many came before, but uses the whole
    stack of layers: a baseline for the value of attention to the past.

    Args:
        dropout: Probability to drop an attention weight while training.
        scale: Factor of queries · keys, 1/√E if not given.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
    (arXiv:2404.00859), the transformer bigram.
    """

    one_stream = False

    def __init__(self, dropout: float = 0.0, scale: float | None = None) -> None:
        super().__init__()
        self.dropout, self.scale = dropout, scale

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `own`, and to zeros in place of `past`."""
        drop = self.dropout if self.training else 0.0
        past = KeyValue(torch.zeros_like(past.keys), torch.zeros_like(past.values))
        return diagonal_attention(queries, own, past, mask, drop, self.scale)


class GivenPast(AttentionOperator):
    """Attends to the position itself, and to keys and values of other positions that are given.

    They come with a cache, see `components.layers.myopic.past.frozen`. With those of a frozen
    model this is the local myopic model: how much better it predicts than the frozen one is what
    that gives up at each position for the sake of later ones.

    Args:
        dropout: Probability to drop an attention weight while training.
        scale: Factor of queries · keys, 1/√E if not given.

    Raises:
        ValueError: In a pass without keys and values of another model.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
    (arXiv:2404.00859), the local myopia bonus.
    """

    one_stream = False

    def __init__(self, dropout: float = 0.0, scale: float | None = None) -> None:
        super().__init__()
        self.dropout, self.scale = dropout, scale

    def extend(self, past: KeyValue, cache: LayerCache | None) -> KeyValue:
        """Returns keys and values `[B, G, K, E]` of another model, in place of `past`.

        Raises:
            ValueError: If there are none, or the cache would hold those of this model.
        """
        if cache is None:
            raise ValueError(
                "GivenPast attends to keys and values that another model computed, and got none; "
                "train it with LocalLanguageModel, whose reference computes them, or choose "
                "attention=ScaledDotProduct."
            )
        if not isinstance(cache, FrozenLayerCache):  # a growing one holds this model's own
            raise ValueError(
                "GivenPast attends to keys and values that another model computed of whole "
                "sequences, and cannot continue one step by step; generate with that model, or "
                "with attention=ScaledDotProduct."
            )
        return super().extend(past, cache)

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `own`, and to other positions in `past`."""
        drop = self.dropout if self.training else 0.0
        return diagonal_attention(queries, own, past, mask, drop, self.scale)
