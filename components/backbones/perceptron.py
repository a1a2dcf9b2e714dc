"""Perceptron: linear maps and activations, one after the other."""

from __future__ import annotations

from itertools import pairwise, starmap

from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from components.layers.feedforward import ActivationFactory
from components.layers.sizes import require_positive


class Perceptron(Backbone):
    """Maps each position on its own by a plain network: nothing is added, nothing normalized.

    The stem is its first linear map. A network 2-64-32 before the head is a linear stem of two
    features and a perceptron with `hidden` 64, `dim` 32 and `depth` 1. Its maps start as torch's
    own do.

    Args:
        dim: Width of the hidden states that it gives.
        depth: Number of linear maps, each between two activations.
        hidden: Width of the states that it reads and of those between its maps; if not given,
            `dim`.
        activation: Makes the activation.

    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors"
        (1986), with ReLUs unless told otherwise.
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
        """Width of the states that it reads."""
        return self.hidden

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes a cache that keeps nothing: positions do not see each other."""
        return Cache(0, batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]`, each of its own state only.

        Raises:
            ValueError: If there is a context, which it cannot see.
        """
        if inputs.context is not None:
            raise ValueError(
                f"Perceptron maps each position on its own and cannot see the context of "
                f"{inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        if cache is not None:
            cache.grow(inputs.states, inputs.mask)
        hidden: Tensor = self.activation(inputs.states)
        for linear in self.blocks:
            hidden = self.activation(linear(hidden))
        return hidden
