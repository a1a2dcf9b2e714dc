"""What modules are made of: factories, which are called once the data are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

TOTAL = "loss"  # under which the whole objective is logged


def require_factories(owner: str, losses: Any, **parts: Any) -> None:
    """Refuses parts that are made already, and terms of the objective that cannot be named so.

    Args:
        owner: Class of the module, for the error.
        losses: Factories of the terms by name.
        parts: Factories of the other parts by their option.

    Raises:
        ValueError: If a part is no factory, there is no term, or its name is taken.
    """
    if losses and not isinstance(losses, Mapping):
        raise ValueError(
            f"{owner}: losses is a {type(losses).__name__}; name each term, such as "
            "{'nll': NegativeLogLikelihood}."
        )
    if not losses:
        raise ValueError(
            f"{owner}: losses={losses} leaves nothing to minimize; name at least one term."
        )
    for name in losses:
        if name in (TOTAL, "") or "." in name or hasattr(nn.ModuleDict, name):
            raise ValueError(
                f"{owner}: a term of losses cannot be called {name!r}, which "
                f"{'is the sum of all terms' if name == TOTAL else 'torch does not allow'}; "
                "give it another name, such as 'nll'."
            )
    terms = {f"losses[{name!r}]": factory for name, factory in losses.items()}
    for option, factory in {**parts, **terms}.items():
        kind = type(factory).__name__
        if isinstance(factory, nn.Module):
            raise ValueError(
                f"{owner}: {option} is a {kind} that is made already; give the class, or "
                f"functools.partial({kind}, ...) with its options: the module makes it itself."
            )
        if not callable(factory):
            raise ValueError(
                f"{owner}: {option} is {factory!r}, which makes no part; give a class, or "
                "functools.partial of one with its options."
            )
