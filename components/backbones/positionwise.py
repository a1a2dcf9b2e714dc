"""Backbones that map each position on its own: MLP, Perceptron and FanNetwork."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise, starmap

from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from components.layers.fan import FanLayer
from components.layers.feedforward import (
    ActivationFactory,
    FeedForward,
    FeedForwardFactory,
    PositionWise,
)
from components.layers.linear import require_positive, residual_std
from components.layers.norms import NormFactory, RMSNorm


class PositionWiseBackbone(Backbone):
    """Maps each position on its own: it needs no cache and reads no context."""

    separates = True  # positions see nothing but themselves

    @abstractmethod
    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes a cache without keys and values: positions do not see each other."""
        return Cache(0, batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]`, each of its own state only.

        Raises:
            ValueError: If there is a context.
        """
        if inputs.context is not None:
            raise ValueError(
                f"{type(self).__name__} maps each position on its own and cannot see the context "
                f"of {inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        if cache is not None:
            cache.grow(inputs.states, inputs.mask)
        return self.transform(inputs.states)


class MLP(PositionWiseBackbone):
    """Maps each position on its own: for feature vectors, and as the bigram model of a sequence.

    Args:
        dim: Width of the hidden states.
        depth: Number of blocks; each adds a feed-forward network to its input.
        feedforward: Makes the network of a block; its `hidden` is the width in between.
        norm: Makes the norms, before each network and at the end.
        dropout: Probability to drop a component of what a block adds, while training.

    Source: He et al., "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027), with dense
    layers.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        feedforward: FeedForwardFactory = FeedForward,
        norm: NormFactory = RMSNorm,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive("MLP", dim=dim, depth=depth)
        self.dim = dim
        std = residual_std(depth)
        self.blocks = nn.ModuleList(
            PositionWiseBlock(dim, feedforward(dim=dim, out_std=std), norm, dropout)
            for _ in range(depth)
        )
        self.norm = norm(dim=dim)

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        for block in self.blocks:
            states = block(states)
        output: Tensor = self.norm(states)
        return output


class PositionWiseBlock(nn.Module):
    """Adds a feed-forward network of each position to a residual stream.

    Args:
        dim: Width of the stream.
        feedforward: Maps each position on its own.
        norm: Makes the norm in front of the network.
        dropout: Probability to drop a component of what is added, while training.
    """

    def __init__(
        self, dim: int, feedforward: PositionWise, norm: NormFactory, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm, self.feedforward = norm(dim=dim), feedforward
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`."""
        added: Tensor = self.dropout(self.feedforward(self.norm(hidden)))
        return hidden + added


class Perceptron(PositionWiseBackbone):
    """Maps each position on its own by a plain network, neither residual nor normalized.

    The stem is its first linear map. A network 2-64-32 before the head is a linear stem of two
    features and a perceptron with `hidden` 64, `dim` 32 and `depth` 1. Its maps have the
    initialization of torch.

    Args:
        dim: Width of the hidden states.
        depth: Number of linear maps, each between two activations.
        hidden: Width of the input states and of those between the maps; if not given, `dim`.
        activation: Makes the activation.

    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors"
        (1986), with ReLUs by default.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        hidden: int | None = None,
        activation: ActivationFactory = nn.ReLU,
    ) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        require_positive("Perceptron", dim=dim, depth=depth, hidden=hidden)
        self.dim, self.hidden = dim, hidden
        widths = [hidden] * depth + [dim]
        self.blocks = nn.ModuleList(starmap(nn.Linear, pairwise(widths)))
        self.activation = activation()

    @property
    def input_dim(self) -> int:
        """Width of the input states."""
        return self.hidden

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        hidden: Tensor = self.activation(states)
        for linear in self.blocks:
            hidden = self.activation(linear(hidden))
        return hidden


class FanNetwork(PositionWiseBackbone):
    """Maps each position on its own by periodic features, neither residual nor normalized.

    The stem is the linear map in front and the head the one behind: a network never ends in a FAN
    layer, whose cosines and sines cannot leave [-1, 1]. With `p` 0 it is a perceptron.

    Args:
        dim: Width of the hidden states.
        depth: Number of FAN layers.
        p: Phases per feature, from 0 to 0.5; each gives a cosine and a sine.
        activation: Makes the activation of the features that are not periodic.
        gated: Whether each layer learns how much its periodic features count.
        p_bias: Whether phases have a bias, as in the authors' code, though not in their formula.

    Raises:
        ValueError: If a size is below 1, or `p` is not between 0 and 0.5.

    Source: Dong et al., "FAN: Fourier Analysis Networks" (arXiv:2410.02675), eq. 10-11; the linear
        map in front is that of the authors' code.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        p: float = 0.25,
        activation: ActivationFactory = nn.GELU,
        gated: bool = False,
        p_bias: bool = True,
    ) -> None:
        super().__init__()
        require_positive("FanNetwork", dim=dim, depth=depth)
        self.dim = dim
        self.blocks = nn.ModuleList(
            FanLayer(dim, dim, p, activation, gated, p_bias) for _ in range(depth)
        )

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        for layer in self.blocks:
            states = layer(states)
        return states
