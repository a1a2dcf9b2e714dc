"""FanNetwork: FAN layers, one after the other."""

from __future__ import annotations

from torch import Tensor, nn

from components.backbones.pointwise import PointwiseBackbone
from components.layers.fan import FanLayer
from components.layers.feedforward import ActivationFactory
from components.layers.sizes import require_positive


class FanNetwork(PointwiseBackbone):
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

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        for layer in self.blocks:
            states = layer(states)
        return states
