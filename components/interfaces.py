"""Interfaces of the four parts of a model, their factories, initialization and adaptation.

    batch ─► Stem ─► Embedded ─► Backbone ─► hidden ─► Stem.readout ─► Head ─► Distribution ─► Loss

Axes: B examples, S positions of the sequence, C positions of the context, T predicted positions, D
width (`dim`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn
from torch.distributions import Distribution

from components.data import Spec
from components.layers.cache import Cache
from components.layers.plan import TensorPlan
from components.layers.spreading import Exchange
from components.numbers import number
from components.supports import Support


class Embedded(NamedTuple):
    """A batch as a backbone reads it; `None` says that nothing is padded, or no context.

    Where `documents` are given, a position sees those of its own document only, and its result is
    that of a sequence with this document alone.
    """

    states: Tensor  # [B, S, D], read causally: position s sees the context and positions up to s
    mask: Tensor | None = None  # [B, S] bool, False on padding
    context: Tensor | None = None  # [B, C, D], seen by every position
    context_mask: Tensor | None = None  # [B, C] bool, False on padding
    documents: Tensor | None = None  # [B, S] int64, which never falls; None: all is one document


class Stem(nn.Module, ABC):
    """Turns a batch into a sequence, and selects the positions that predict.

    `reach` is how many steps before its target a state depends on, None for the whole batch. Where
    it is given, a window that moves is embedded at its end only. Where a stem is not
    `autoregressive`, no state reads a target, and all targets are predicted at once. One that
    `separates` marks the documents of a window, and needs a backbone that keeps them apart. The
    last `specials` vectors of its lookup stand for nothing that can be predicted.
    """

    reach: int | None = None
    autoregressive: bool = True
    separates: bool = False
    specials: int = 0

    @abstractmethod
    def forward(self, batch: Any) -> Embedded:
        """Embeds a batch.

        What predicts a target may depend on what precedes it, never on the target itself.
        """

    def state(self, batch: Any, position: int) -> Embedded:
        """Embeds one position of the sequence alone, `[B, 1, D]`, without the context.

        A sequence that grows by what was drawn is embedded so, position by position. By default
        all of it is embedded each time; override this where a state depends on little.
        """
        states, mask, *_ = self(batch)
        here = slice(position, position + 1)
        return Embedded(states[:, here], None if mask is None else mask[:, here])

    def readout(self, hidden: Tensor) -> Tensor:
        """Selects the hidden states that predict, `[B, S, D]` to `[B, T, D]`: here all of them."""
        return hidden

    def lookup(self) -> nn.Embedding:
        """Returns the embedding of the tokens that can be predicted.

        Raises:
            ValueError: If there is none.
        """
        raise ValueError(
            f"{type(self).__name__} has no embedding of the tokens that are predicted, which a "
            "read-out could be tied to; drop tied."
        )


class Backbone(nn.Module, ABC):
    """Turns a sequence into hidden states.

    `blocks` are the units of sharding, checkpointing and compiling. One that `separates` keeps the
    documents of a window apart, where a stem marks them.
    """

    dim: int
    blocks: nn.ModuleList
    separates: bool = False

    @property
    def input_dim(self) -> int:
        """Width of the input states, by default that of the hidden states."""
        return self.dim

    @abstractmethod
    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]` of the states (not of the context), causally.

        With a cache, `inputs` holds only new states, and the context with the first call. The
        cache is extended in place, and the result equals that of one call with all states.
        """

    @abstractmethod
    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes an empty cache for `length` positions, those of the context included."""

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide each block among them (tensor parallelism).

        Raises:
            ValueError: If there is no plan, or something is not divisible.
        """
        raise ValueError(
            f"{type(self).__name__} has no plan for tensor parallelism; set "
            "tensor_parallel_size=1, or use Decoder."
        )

    def spread(self, exchange: Exchange) -> None:
        """Divides the positions of sequences among processes, in place (context parallelism).

        Each process gets all states, and returns all hidden states; in between it computes a part
        of the positions. Gradients of parameters then are those of that part, times the number of
        processes, so that their average is right.

        Args:
            exchange: Exchanges tensors with the other processes.

        Raises:
            ValueError: If the backbone cannot do that.
        """
        raise ValueError(
            f"{type(self).__name__} cannot divide positions among processes; set "
            "context_parallel_size=1, or use Decoder."
        )


class OutputEmbedding(NamedTuple):
    """The last linear map of a head: the logit of a token is its row times the features."""

    features: nn.Module  # maps hidden states `[..., D]` to features `[..., E]`
    weight: Tensor  # `[V, E]`, a row for each token; shared with the embedding if they are tied
    bias: Tensor | None  # `[V]`


class Head(nn.Module, ABC):
    """Turns hidden states into a predictive distribution.

    All parameters live in `projection`, a tensor-to-tensor module, so that fully sharded training
    can gather them. The distribution itself is computed in float32 whatever the precision of the
    hidden states.
    """

    support: Support
    projection: nn.Module

    @abstractmethod
    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`.

        The batch shape is `[...]`, the event shape that of the support.
        """

    def output_embedding(self) -> OutputEmbedding:
        """Returns the last linear map of the head, with a row for each token.

        Raises:
            ValueError: If the head computes logits in another way, or of other outcomes than
                tokens.
        """
        raise ValueError(
            f"{type(self).__name__} has no row of a matrix for each token, so that there is no "
            "output embedding; use a model whose head is LinearHead or FanHead."
        )

    def tie(self, table: nn.Embedding, specials: int = 0) -> None:
        """Shares the matrix `[size, D]` of an embedding, in place of a matrix of its own.

        Args:
            table: The embedding.
            specials: How many of its last vectors stand for nothing that can be predicted.

        Raises:
            ValueError: If the head has no matrix of that shape.
        """
        raise ValueError(
            f"{type(self).__name__} has no matrix with a row for each token that could be tied to "
            "the embedding; choose LinearHead or FanHead, or drop tied."
        )


class Loss(nn.Module, ABC):
    """One term of the objective: a function of the prediction and the target.

    Args:
        weight: Factor of this term in the objective, at least 0. Logged values do not contain it.

    Raises:
        ValueError: If `weight` is negative or not finite.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = number(weight, f"{type(self).__name__}: weight")
        if not 0 <= self.weight < math.inf:
            raise ValueError(
                f"{type(self).__name__}: weight={weight} is negative or not finite; a term is "
                "minimized, use a weight of at least 0."
            )

    @abstractmethod
    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Computes one value per position, `[B, T]`, of a prediction with batch shape `[B, T]`."""


class Initialization(ABC):
    """Sets the initial parameters of a whole model, once its parts are built.

    It is stored in checkpoints: make it a frozen dataclass of plain data.
    """

    @abstractmethod
    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> Collection[str] | None:
        """Sets parameters in place; on the meta device it must do nothing, and not fail.

        Returns:
            Names of the parameters that were copied from a trained model, such as
            `head.projection.weight`; None where nothing is copied.
        """


class Adaptation(ABC):
    """Chooses what of a model is trained, once its initial parameters are set.

    It is stored in checkpoints: make it a frozen dataclass of plain data.
    """

    @abstractmethod
    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Changes the parts in place; only parameters to be trained keep `requires_grad`."""


class StemFactory(Protocol):
    """Builds a stem for the width of a backbone and the spec of the data."""

    def __call__(self, *, dim: int, spec: Any) -> Stem:
        """Builds a stem."""
        ...


class BackboneFactory(Protocol):
    """Builds a backbone; its width is its own option."""

    def __call__(self) -> Backbone:
        """Builds a backbone."""
        ...


class HeadFactory(Protocol):
    """Builds a head for the width of a backbone and the support of the data."""

    def __call__(self, *, dim: int, support: Support) -> Head:
        """Builds a head."""
        ...


class LossFactory(Protocol):
    """Builds a term of the objective."""

    def __call__(self) -> Loss:
        """Builds a term."""
        ...


__all__ = [
    "Backbone",
    "BackboneFactory",
    "Cache",
    "Embedded",
    "Head",
    "HeadFactory",
    "Initialization",
    "Loss",
    "LossFactory",
    "Spec",
    "Stem",
    "StemFactory",
    "TensorPlan",
]
