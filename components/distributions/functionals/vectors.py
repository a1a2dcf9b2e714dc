"""What the components of a vector give, added up."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, Independent


def add_components(values: Tensor, distribution: Independent[Distribution]) -> Tensor:
    """Adds one value per component up to one per vector.

    Args:
        values: One for each distribution of the base, `[..., *event]`.
        distribution: Which of its axes are those of a vector; there may be none.

    Returns:
        Sums `[...]`.
    """
    axes = distribution.reinterpreted_batch_ndims
    return values.flatten(-axes).sum(-1) if axes else values
