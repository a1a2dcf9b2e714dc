"""The FAN head: periodic features of the hidden state, then a linear read-out."""

from __future__ import annotations

from torch import nn

from components.heads.linear import LogitsHead, number_of_logits
from components.layers.fan import FanLayer
from components.layers.feedforward import ActivationFactory
from components.numbers import count, number
from components.supports import Binning, Support


class FanHead(LogitsHead):
    """Predicts one logit per cell from periodic features of the hidden state.

    Sines are taken of *hidden features*, so that outcomes need no order. The Fourier head instead
    has a Fourier series over ordered *outcomes*. The read-out is always linear,
    because a FAN layer at the end would bound logits by 1. Compare it with heads of as many
    parameters: a FAN layer adds (dim + 1)(hidden - phases). Where `hidden` is the width
    of the embedding, the read-out can be tied to it.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted.
        bins: Cells that an interval is divided into, 256 if not given, or a binning that divides
            it. Tokens and bins have theirs.
        hidden: Width of the FAN layers, `dim` if not given.
        layers: Number of FAN layers, at least 1.
        p: Phases per feature, from 0 to 0.5; each gives a cosine and a sine. At 0 the head is a
            multilayer perceptron.
        activation: Makes the activation of the features that are not periodic: `torch.nn.GELU`, or
            `torch.nn.Identity` for the layer of FANformer.
        gated: Whether each layer learns how much its periodic features count.
        p_bias: Whether phases have a bias, as in the authors' code, though not in their formula.
        bias: Whether each logit has a learned constant.

    Raises:
        ValueError: If there is no layer or `p` is out of range, or `bins` is given for a support
            that has its cells already.

    Source: Dong et al., "FAN" (arXiv:2410.02675), eq. 10-11: the last layers of a FAN network. The
        papers define no head of this name.
    """

    def __init__(
        self,
        dim: int,
        support: Support,
        bins: int | Binning | None = None,
        hidden: int | None = None,
        layers: int = 1,
        p: float = 0.25,
        activation: ActivationFactory = nn.GELU,
        gated: bool = False,
        p_bias: bool = True,
        bias: bool = True,
    ) -> None:
        layers = count(layers, "FanHead: layers")
        if layers < 1:
            raise ValueError(
                f"FanHead: layers={layers}; it needs at least 1; use LinearHead for none."
            )
        width = dim if hidden is None else count(hidden, "FanHead: hidden")
        if width < 1:
            raise ValueError(f"FanHead: hidden={hidden}; it needs at least 1 feature.")
        cells = support.divide(bins)
        features = [
            FanLayer(inputs, width, number(p, "FanHead: p"), activation, gated, p_bias)
            for inputs in (dim, *(width,) * (layers - 1))
        ]
        projection = nn.Sequential(*features, nn.Linear(width, number_of_logits(cells), bias))
        super().__init__(support, cells, projection)
