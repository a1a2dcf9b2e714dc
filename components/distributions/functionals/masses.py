"""Probabilities of the cells between given edges."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution


def probabilities(distribution: Distribution, edges: Tensor) -> Tensor:
    """Computes the mass of a distribution of real values in each of K cells.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Returns:
        Masses, `[..., K]`; their sum is less than 1 by what lies beyond the outer edges.
    """
    shape = (-1, *(1,) * len(distribution.batch_shape))
    below = distribution.cdf(edges.view(shape).expand(-1, *distribution.batch_shape))
    return below.diff(dim=0).movedim(0, -1).clamp_min(0)
