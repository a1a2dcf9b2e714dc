"""Sizes that a network can have."""

from __future__ import annotations


def require_positive(owner: str, **sizes: int) -> None:
    """Checks that widths and depths are at least 1.

    Args:
        owner: Whose sizes they are, for the message.
        sizes: The sizes, by the names of their options.

    Raises:
        ValueError: If one is smaller.

    Example:
        >>> require_positive("Decoder", dim=64, depth=2)
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{owner}: {name}={size} is too small; use at least 1.")
