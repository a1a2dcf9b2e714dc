"""The error of a loss that cannot be computed for a distribution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributions import Distribution

from components.distributions import Affine
from components.distributions.vectors import components_of
from components.interfaces import Loss


@contextmanager
def refuse(loss: Loss, prediction: Distribution, wanted: str) -> Iterator[None]:
    """Names the loss and the distribution in the error where they do not go together.

    Args:
        loss: The loss.
        prediction: The distribution, as the head made it.
        wanted: Which distributions the loss can score.

    Raises:
        ValueError: If the block lacks a method or a formula for the distribution.
    """
    try:
        yield
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{type(loss).__name__} cannot score a {_kind(prediction)}: it needs {wanted}; "
            "drop the term or choose another head."
        ) from error


def _kind(distribution: Distribution) -> str:
    each = components_of(distribution)
    while isinstance(each, Affine):
        each = each.base
    return type(each).__name__
