"""Replaces parts of other packages for a while, where they offer no other way to correct them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(*changed: tuple[Any, str, Any]) -> Iterator[None]:
    """Replaces attributes inside a `with` statement.

    Args:
        changed: Owner, name and new value of each.
    """
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    try:
        for owner, name, value in changed:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
