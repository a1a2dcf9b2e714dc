"""FanNetwork: FAN layers, one after the other."""

from __future__ import annotations

from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from components.layers.fan import FanLayer
from components.layers.feedforward import ActivationFactory
from components.layers.sizes import require_positive


class FanNetwork(Backbone):
    """Maps each position on its own by periodic features: nothing is added, nothing normalized.

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
                f"FanNetwork maps each position on its own and cannot see the context of "
                f"{inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        if cache is not None:
            cache.grow(inputs.states, inputs.mask)
        hidden = inputs.states
        for layer in self.blocks:
            hidden = layer(hidden)
        return hidden
