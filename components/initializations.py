"""Initializations of a whole model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from components.interfaces import Backbone, Head, Initialization, Stem
from components.layers.linear import INITIAL_STD, ResidualLinear

CUTOFF = 3.0  # standard deviations at which the normal distribution of an entry ends


@dataclass(frozen=True)
class Mitchell(Initialization):
    r"""Scales each matrix by the width of its input, as OLMo and FANformer do.

    Entries of a matrix that reads n numbers, and of an embedding of width n, are normal with
    standard deviation 1/√n, cut off at three of them; those of a map that adds to the residual
    stream in block l = 0, 1, … have 1/√(2 n (l + 1)), so that later blocks add less at first.
    Biases of linear maps are zero. Gains of norms and all other parameters stay as they are.

    Source: "mitchell" in Groeneveld et al., "OLMo" (arXiv:2402.00838), code; FANformer
        (arXiv:2502.21309) takes it over.
    """

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Draws the matrices of all parts."""
        for part in (stem, backbone, head):
            for module in part.modules():
                _draw(module, writers=0)
        for position, block in enumerate(backbone.blocks):
            for module in block.modules():
                if isinstance(module, ResidualLinear):
                    _draw(module, writers=2 * (position + 1))


@dataclass(frozen=True)
class NormalMatrices(Initialization):
    """Draws every matrix from the same normal distribution.

    Biases of linear maps are zero. Gains of norms and all other parameters stay as they are.
    Unlike in the initialization of the parts themselves, maps that add to the residual stream are
    no smaller than others, whatever the depth.

    Args:
        std: Standard deviation of the entries, positive.

    Raises:
        ValueError: If `std` is not positive.
    """

    std: float = INITIAL_STD

    def __post_init__(self) -> None:
        if not 0 < self.std < math.inf:
            raise ValueError(
                f"NormalMatrices: std={self.std} is not a standard deviation; use a positive one."
            )

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Draws the matrices of all parts."""
        for part in (stem, backbone, head):
            for module in part.modules():
                if (weight := _matrix(module)) is not None:
                    nn.init.normal_(weight, std=self.std)


def _draw(module: nn.Module, writers: int) -> None:
    """Draws the matrix of a module; `writers` have added to the residual stream by then."""
    if (weight := _matrix(module)) is not None:
        std = 1 / math.sqrt(weight.shape[1] * max(1, writers))
        nn.init.trunc_normal_(weight, std=std, a=-CUTOFF * std, b=CUTOFF * std)


def _matrix(module: nn.Module) -> Tensor | None:
    """Returns the matrix of a module itself, None if it has none; zeroes its bias."""
    parameters = dict(module.named_parameters(recurse=False))
    weight = parameters.get("weight")
    if weight is None or weight.ndim != 2:
        return None
    if "bias" in parameters:
        nn.init.zeros_(parameters["bias"])
    return weight
