"""Myopic attention, and its relatives: what a position computes serves its own prediction only."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from components.layers.attention import AttentionOperator, KeyValue, ScaledDotProduct
from components.layers.cache import LayerCache
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.past import FrozenLayerCache
from components.layers.myopic.reference import diagonal_attention
from components.layers.myopic.streams import parameter_streams
from components.layers.visibility import Visible


class Myopic(AttentionOperator):
    r"""Attends as ever, but lets no loss tell earlier positions what they should have computed.

    The loss of position t has a gradient for what position t computes, in every layer, and none
    for what the positions that it attends to compute: their states are constants to it. So a model
    learns to predict the present, and is not taught to prepare the future; how much worse it then
    is tells how much models plan ahead. Numbers that go forward are those of `ScaledDotProduct`,
    and so is the model that results: a checkpoint loads with either.

    Without gradients, and with a cache, it *is* `ScaledDotProduct`. Elsewhere it costs little more
    where torch has a fused kernel; where it has none, as for dropped weights or `RelativeBias`, it
    costs as much as attention that is written out.

    All positions but a position itself count as past, also those of a context that is a prefix: a
    context is then trained by nothing, unless its positions predict too. No other part of a model
    may join positions.

    Args:
        constant: What is constant of a past position. "hidden": the hidden state in front of its
            keys and values, so that these matrices still learn how to attend to the past. "keys":
            keys and values themselves, so that these matrices learn from the present alone. With a
            bias of keys and no rotation, "keys" lets that bias drift, for a loss which does not
            depend on it.
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

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, visible: Visible) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `past`, in which each finds itself too."""
        if not torch.is_grad_enabled() or own.keys.shape != past.keys.shape:
            attended: Tensor = self.ordinary(queries, own, past, visible)
            return attended
        if self.constant == "keys":
            past = KeyValue(own.keys.detach(), own.values.detach())
        drop = self.dropout if self.training else 0.0
        return separated_attention(queries, own, past, visible, drop, self.scale)


class Bigram(AttentionOperator):
    """Attends to itself, and to zeros in place of every other position, always.

    Of the sequence a prediction then knows the last token and how many came before, made of by the
    whole stack of layers: what attention to the past is worth shows against it.

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

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, visible: Visible) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to itself and to zeros."""
        drop = self.dropout if self.training else 0.0
        past = KeyValue(torch.zeros_like(past.keys), torch.zeros_like(past.values))
        return diagonal_attention(queries, own, past, visible, drop, self.scale)


class GivenPast(AttentionOperator):
    """Attends to itself, and in place of every other position to keys and values that are given.

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

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, visible: Visible) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `own`, and to the others of `past`."""
        drop = self.dropout if self.training else 0.0
        return diagonal_attention(queries, own, past, visible, drop, self.scale)
