"""How a loss tells that it cannot be computed for a law."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributions import Distribution, Independent

from components.distributions import Affine
from components.interfaces import Loss


@contextmanager
def refuse(loss: Loss, prediction: Distribution, wanted: str) -> Iterator[None]:
    """Names the loss and the law where the law has not got what the loss needs.

    Args:
        loss: Who needs it.
        prediction: The law, as the head made it.
        wanted: What laws would do.

    Raises:
        ValueError: If the block finds that something is not there for the law.
    """
    try:
        yield
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"{type(loss).__name__} cannot score a {_name(prediction)}: it needs {wanted}; "
            "drop the term or choose another head."
        ) from error


def _name(law: Distribution) -> str:
    match law:
        case Affine():
            return _name(law.base)
        case Independent():
            return _name(law.base_dist)
        case _:
            return type(law).__name__
