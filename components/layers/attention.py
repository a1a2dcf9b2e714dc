"""Self-attention and its operators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from components.layers.cache import LayerCache, joined
from components.layers.feedforward import ProjectionFactory, ValueFactory
from components.layers.key_value import BranchedKeyValue, KeyValue
from components.layers.linear import INITIAL_STD, Linear, ResidualLinear, one_product
from components.layers.masks import Mask
from components.layers.norms import NormFactory
from components.layers.plan import TensorPlan, require_divisible

Rotation = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Encodes positions in queries and keys, see `Positions.rotate`."""

AttentionBias = bool | Literal["qkv"]
"""Which linear maps of attention have a bias: all, none, or all but the last."""

Made = TypeVar("Made")


class AttentionOperator(nn.Module, ABC):
    """Averages values by the scores of queries and keys. It has no parameters.

    There are two streams of keys and values: a position uses `own` of itself, and `past` of the
    other positions. Ordinarily both are the same.
    """

    one_stream = True
    """Whether both streams are the same, as they must be in cross-attention."""

    divisible = False
    """Whether processes can divide the heads among them."""

    def streams(self, project: nn.Module, source: Tensor) -> tuple[Tensor, Tensor]:
        """Projects states `[B, S, D]` to both streams, `[B, S, W]` each: one tensor, twice.

        Args:
            project: Makes keys, values or both, for all heads.
            source: The normalized hidden states, or the output of the layer in front.
        """
        projected = project(source)
        return projected, projected

    def extend(self, past: KeyValue, cache: LayerCache | None) -> KeyValue:
        """Appends keys and values of new positions to those of earlier ones.

        Args:
            past: `[B, G, S, E]`, of the new positions.
            cache: Holds the earlier positions, and is extended in place; None if there are none.

        Returns:
            `[B, G, K, E]`, of all positions.
        """
        if cache is None:
            return past
        own = KeyValue(*cache.append(*past))
        return own if cache.shared is None else self.branch(cache.shared, own)

    def branch(self, shared: tuple[Tensor, Tensor], own: KeyValue) -> KeyValue:
        """Puts keys and values of new positions behind those that several examples share.

        Args:
            shared: `[B / samples, G, P, E]` each, of the first positions.
            own: `[B, G, S, E]`, of those behind them.

        Returns:
            `[B, G, P + S, E]`, of all positions.
        """
        return KeyValue(*joined(shared, *own))

    def prepare(self, mask: Mask, size: int, device: torch.device) -> Mask:
        """Brings a mask into the form that `forward` reads, once for all blocks.

        Here documents and windows become a matrix of booleans, `[B or 1, 1, S, S]`.

        Args:
            mask: The mask.
            size: Number of positions S, where the mask is causal.
            device: Device of the matrix.
        """
        if mask.documents is None and mask.window is None:
            return mask
        return Mask(mask.as_matrix(size, size, device))

    @abstractmethod
    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to keys and values: `[B, H, Q, E]`.

        Args:
            queries: Those of the last Q of K positions.
            own: `[B, G, Q, E]`, keys and values that these positions use of themselves. G divides
                H; each key serves H / G consecutive heads.
            past: `[B, G, K, E]`, those that other positions use.
            mask: Which keys each query sees.
        """


class AttentionFactory(Protocol):
    """Builds an attention operator."""

    def __call__(self, *, dropout: float) -> AttentionOperator:
        """Builds one that drops attention weights with probability `dropout` while training."""


class ScaledDotProduct(AttentionOperator):
    r"""Averages values with weights softmax(queries · keys / √E), by the fused kernels of torch.

    Args:
        dropout: Probability to drop an attention weight while training.
        scale: Factor of queries · keys, 1/√E if not given; T5 has 1.
        cap: Bound c, positive, of what queries · keys become, c · tanh(score / c); None for none.
            Gemma 2 has 50. It is computed without the fused kernels, in memory that grows with
            queries times keys.

    Raises:
        ValueError: If `cap` is not positive.

    Source: Vaswani et al., "Attention Is All You Need" (arXiv:1706.03762), eq. 1; groups:
    Ainslie et al., "GQA" (arXiv:2305.13245); cap: Gemma Team, "Gemma 2" (arXiv:2408.00118),
    section 2.
    """

    divisible = True

    def __init__(
        self, dropout: float = 0.0, scale: float | None = None, cap: float | None = None
    ) -> None:
        super().__init__()
        if cap is not None and not cap > 0:
            raise ValueError(
                f"{type(self).__name__}: cap={cap} is not positive; use null for none."
            )
        self.dropout, self.scale, self.cap = dropout, scale, cap

    def branch(self, shared: tuple[Tensor, Tensor], own: KeyValue) -> KeyValue:
        """Keeps shared keys and values apart, so that they are read once for all examples."""
        return BranchedKeyValue.of(shared, own)

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `past`, which includes their own positions."""
        dropout = self.dropout if self.training else 0.0
        return past.attend(queries, mask, dropout, self.scale, self.cap)


class Attention(nn.Module):
    """Self-attention of the positions of a sequence.

    Args:
        dim: Width of the hidden states.
        heads: Number of query heads, a divisor of `dim` unless `head_dim` is given.
        kv_heads: Number of key and value heads, a divisor of `heads`; by default as many. Fewer
            make the cache smaller.
        head_dim: Width of a head, by default `dim` / `heads`.
        projection: Makes a layer in front of queries, keys and values, applied once to the input;
            None for none.
        value: Makes the map from the input itself to values, in place of a matrix behind
            `projection`; None for that matrix.
        bias: Whether the linear maps have a bias; "qkv" for all but the last.
        qk_norm: Makes the norms of queries and of keys, before they are rotated; None for none.
        qk_norm_over: Whether these normalize each head on its own, or all heads together.
        clip_qkv: Bound of the entries of queries, keys and values, positive; None for none.
        attention: The operator on queries, keys and values.
        rotate: Encodes positions in queries and keys.
        dropout: Probability to drop an attention weight while training.
        out_std: Standard deviation of the initial entries of the last matrix.

    Raises:
        ValueError: If the heads do not divide as they must, or `clip_qkv` is not positive.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        *,
        rotate: Rotation,
        projection: ProjectionFactory | None = None,
        value: ValueFactory | None = None,
        bias: AttentionBias = False,
        qk_norm: NormFactory | None = None,
        qk_norm_over: Literal["head", "all"] = "head",
        clip_qkv: float | None = None,
        attention: AttentionFactory = ScaledDotProduct,
        dropout: float = 0.0,
        out_std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        self.head_dim = width_of_heads(dim, heads, head_dim)
        self.kv_heads = groups_of_heads(heads, kv_heads)
        self.rotate = rotate
        self.projection = nn.Identity() if projection is None else projection(dim=dim)
        self.query = Linear(dim, heads * self.head_dim, bool(bias))
        width = self.kv_heads * self.head_dim
        self.value = None if value is None else value(dim=dim, width=width)
        if value is None:
            self.key_value = Linear(dim, 2 * width, bool(bias))
        else:
            self.key = Linear(dim, width, bool(bias))
        if qk_norm is None and qk_norm_over != "head":
            raise ValueError(
                f'Attention: qk_norm_over="{qk_norm_over}" needs a norm; give qk_norm, or drop it.'
            )
        if clip_qkv is not None and not clip_qkv > 0:
            raise ValueError(f"Attention: clip_qkv={clip_qkv} is not positive; use null for none.")
        self.normed_together, self.clip_qkv = qk_norm_over == "all", clip_qkv

        def normalizer(group: int) -> nn.Module:
            size = self.head_dim * (group if self.normed_together else 1)
            return nn.Identity() if qk_norm is None else qk_norm(dim=size)

        self.query_norm, self.key_norm = normalizer(heads), normalizer(self.kv_heads)
        self.operator = attention(dropout=dropout)
        self.out = ResidualLinear(heads * self.head_dim, dim, bias is True, std=out_std)

    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Attends within hidden states `[B, S, D]` at `index` `[B or 1, S]`, and to the cache."""
        source = self.projection(hidden)
        queries, own, past = self._projected(hidden, source)
        queries, own, past = self._rotated(queries, own, past, index)
        past = self.operator.extend(past, cache)
        output: Tensor = self.out(join_heads(self.operator(queries, own, past, mask)))
        return output

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide the heads among them; the layer in front each has whole.

        Raises:
            ValueError: If `processes` does not divide the heads, or there is no plan.
        """
        if self.value is not None or not self.operator.divisible:
            what = self.operator if self.value is None else self.value
            raise ValueError(
                f"Attention has no plan for tensor parallelism with {type(what).__name__}; set "
                "tensor_parallel_size=1."
            )
        if self.normed_together:
            raise ValueError(
                "Attention has no plan for tensor parallelism where all heads are normalized "
                'together; set tensor_parallel_size=1, or qk_norm_over="head".'
            )
        heads = self.out.in_features // self.head_dim
        require_divisible("Attention", processes, heads=heads, kv_heads=self.kv_heads)
        names = [name for name, _ in self.named_parameters()]
        norms = {name for name in names if name.startswith(("query_norm.", "key_norm."))}
        return TensorPlan(
            rows={
                name: 2 if name.startswith("key_value.") else 1
                for name in names
                if name.startswith(("query.", "key_value."))
            },
            columns=frozenset({"out.weight"}),
            shared=frozenset({"out.bias", *norms}),
            entries=frozenset({"projection"}),
            exits=frozenset({"out"}),
        )

    def _projected(self, hidden: Tensor, source: Tensor) -> tuple[Tensor, KeyValue, KeyValue]:
        """Makes queries, keys and values that a position uses of itself, and those for others."""
        joined = None
        if self.value is None and self.operator.one_stream:
            joined = one_product(source, self.query, self.key_value)
        if joined is None:
            queries, (own, past) = self.query(source), self._streams(hidden, source)
        else:
            queries, both = joined
            own = past = self._halves(both)
        mine, theirs = _both(partial(self._normalized, self.key_norm), own.keys, past.keys)
        queries = self._normalized(self.query_norm, self._split(queries))
        return queries, own._replace(keys=mine), past._replace(keys=theirs)

    def _streams(self, hidden: Tensor, source: Tensor) -> tuple[KeyValue, KeyValue]:
        """Makes keys and values of both streams."""
        streams = self.operator.streams
        if self.value is None:
            return _both(self._halves, *streams(self.key_value, source))
        keys = _both(self._split, *streams(self.key, source))
        own, past = map(KeyValue, keys, _both(self._split, *streams(self.value, hidden)))
        return own, past

    def _halves(self, vectors: Tensor) -> KeyValue:
        """Splits what `key_value` makes, `[B, S, 2·G·E]`."""
        return KeyValue(*self._split(vectors).chunk(2, 1))

    def _split(self, vectors: Tensor) -> Tensor:
        """Splits what a linear map makes, `[B, S, H·E]`, into heads, and clips it."""
        if self.clip_qkv is not None:
            vectors = vectors.clamp(-self.clip_qkv, self.clip_qkv)
        return split_heads(vectors, self.head_dim)

    def _normalized(self, norm: nn.Module, vectors: Tensor) -> Tensor:
        """Normalizes queries or keys `[B, H, S, E]`."""
        if not self.normed_together:
            normed: Tensor = norm(vectors)
            return normed
        return split_heads(norm(join_heads(vectors)), self.head_dim)

    def _rotated(
        self, queries: Tensor, own: KeyValue, past: KeyValue, index: Tensor
    ) -> tuple[Tensor, KeyValue, KeyValue]:
        """Encodes positions in queries and keys; once where both streams are the same."""
        if past.keys is own.keys:
            queries, keys = self.rotate(queries, own.keys, index)
            return queries, own._replace(keys=keys), past._replace(keys=keys)
        queries, keys = self.rotate(queries, torch.cat((own.keys, past.keys), 1), index)
        mine, theirs = keys.chunk(2, 1)
        return queries, own._replace(keys=mine), past._replace(keys=theirs)


def width_of_heads(dim: int, heads: int, head_dim: int | None) -> int:
    """Returns `head_dim`, by default `dim` divided by `heads`.

    Raises:
        ValueError: If `heads` does not divide `dim`, or `head_dim` is too small.
    """
    if head_dim is not None and head_dim < 1:
        raise ValueError(f"Attention: head_dim={head_dim} is too small; use at least 1.")
    if heads < 1 or (head_dim is None and dim % heads):
        raise ValueError(
            f"Attention: dim={dim} is not divisible by heads={heads}; choose heads that divide "
            "dim, or give head_dim."
        )
    return dim // heads if head_dim is None else head_dim


def groups_of_heads(heads: int, kv_heads: int | None) -> int:
    """Returns `kv_heads`, by default one for each of the `heads`.

    Raises:
        ValueError: If they do not divide the heads.
    """
    groups = heads if kv_heads is None else kv_heads
    if groups < 1 or heads % groups:
        raise ValueError(
            f"Attention: heads={heads} is not divisible by kv_heads={kv_heads}; choose kv_heads "
            "that divide heads."
        )
    return groups


def split_heads(vectors: Tensor, head_dim: int) -> Tensor:
    """Splits `[B, S, H·E]` into heads, `[B, H, S, E]`."""
    return torch.unflatten(vectors, -1, (-1, head_dim)).transpose(1, 2)


def join_heads(vectors: Tensor) -> Tensor:
    """Joins heads `[B, H, S, E]` to `[B, S, H·E]`."""
    return vectors.transpose(1, 2).flatten(2)


def _both(make: Callable[[Tensor], Made], own: Tensor, past: Tensor) -> tuple[Made, Made]:
    """Applies a function to both streams, once where they are the same."""
    made = make(own)
    return made, made if past is own else make(past)
