"""How a loss tells that it cannot be computed for a distribution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributions import Distribution, Independent

from components.distributions import Affine
from components.interfaces import Loss


@contextmanager
def refuse(loss: Loss, prediction: Distribution, wanted: str) -> Iterator[None]:
    """Names the loss and the distribution where the distribution has not got what the loss needs.

    Args:
        loss: Who needs it.
        prediction: The distribution, as the head made it.
        wanted: What distributions would do.

    Raises:
        ValueError: If the block finds that something is not there for the distribution.
    """
    try:
        yield
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{type(loss).__name__} cannot score a {_name(prediction)}: it needs {wanted}; "
            "drop the term or choose another head."
        ) from error


def _name(distribution: Distribution) -> str:
    match distribution:
        case Affine():
            return _name(distribution.base)
        case Independent():
            return _name(distribution.base_dist)
        case _:
            return type(distribution).__name__
