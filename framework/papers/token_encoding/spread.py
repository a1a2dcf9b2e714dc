"""Spread: examples taken evenly from all of a split, so that a few of them stand for the whole."""

from __future__ import annotations

from typing import Any

from framework.data.module import Dataset


class Spread(Dataset):
    """Some examples of a split, at equal distances.

    Args:
        examples: The split.
        size: How many to take; all if not given, or if there are not so many.

    Raises:
        ValueError: If `size` is not positive.

    Example:
        >>> class Numbers(Dataset):
        ...     def __len__(self): return 10
        ...     def __getitems__(self, indices): return indices
        >>> Spread(Numbers(), 4).__getitems__([0, 1, 2, 3])
        [0, 2, 5, 7]
    """

    def __init__(self, examples: Dataset, size: int | None = None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Spread: size={size} takes no example; use at least 1.")
        self.examples = examples
        self.size = len(examples) if size is None else min(size, len(examples))

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, indices: list[int]) -> Any:
        """Returns examples as one batch."""
        step = len(self.examples)
        return self.examples.__getitems__([index * step // self.size for index in indices])
