"""Distributions of vectors whose components are independent."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions.affine import Affine


def joint(distribution: Distribution, shape: Sequence[int]) -> Distribution:
    """Joins the distributions of components to that of a vector.

    Args:
        distribution: One distribution per component, batch shape `[..., *shape]`.
        shape: Shape of one outcome; `()` for a scalar.

    Returns:
        The distribution of outcomes, batch shape `[...]`; a scalar's own one as it is.
    """
    return Independent(distribution, len(shape), validate_args=False) if shape else distribution


def components_of(distribution: Distribution) -> Distribution:
    """Returns the distributions of the components of a vector: undoes `joint`, in any units.

    Args:
        distribution: A distribution of batch shape `[...]`, event shape `[*shape]`.

    Returns:
        One distribution per component, batch shape `[..., *shape]`; the distribution itself where
        it is one of scalars, or of dependent components.
    """
    match distribution:
        case Independent():
            return components_of(distribution.base_dist)
        case Affine():
            base = components_of(distribution.base)
            return Affine(base, distribution.loc, distribution.scale)
        case _:
            return distribution


def add_components(values: Tensor, distribution: Distribution) -> Tensor:
    """Adds one value per component up to one per vector.

    Args:
        values: Values of the components, `[..., *shape]`.
        distribution: The distribution of the vectors, event shape `[*shape]`.

    Returns:
        Sums `[...]`; the values themselves where outcomes are scalars.
    """
    axes = len(distribution.event_shape)
    return values.flatten(-axes).sum(-1) if axes else values
