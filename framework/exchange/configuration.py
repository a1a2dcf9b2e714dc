"""The configuration of a published model, read with a sentence for each thing that is amiss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class Configuration:
    """Keys and values of a published model.

    Args:
        path: Where they stand, for messages.
        values: The keys and values.
    """

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        self.path, self.values = path, values

    def states(self, key: str) -> bool:
        """Tells whether it gives a key a value."""
        return self.values.get(key) is not None

    def size(self, key: str, otherwise: int | None = None) -> int:
        """Returns a whole number of at least 1, or another where it does not say.

        Raises:
            ValueError: If it says something else, or nothing and there is no other.
        """
        value = self.values.get(key)
        if value is None and otherwise is not None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{self.path} says {key}: {_told(value)}; a whole number of at least 1 is needed."
            )
        return value

    def number(self, key: str, otherwise: float) -> float:
        """Returns a positive number, or another where it does not say.

        Raises:
            ValueError: If it says something else.
        """
        value = self.values.get(key)
        found = otherwise if value is None else _float(value)
        if not 0 < found < math.inf:
            raise ValueError(f"{self.path} says {key}: {value}; a positive number is needed.")
        return found

    def flag(self, key: str, otherwise: bool) -> bool:
        """Returns true or false, or what holds where it does not say.

        Raises:
            ValueError: If it says something else.
        """
        value = self.values.get(key)
        value = otherwise if value is None else value
        if not isinstance(value, bool):
            raise ValueError(f"{self.path} says {key}: {value}; true or false is needed.")
        return value

    def demand(self, key: str, *known: Any, otherwise: Any = None) -> Any:
        """Returns a value that must be among those that our model can have.

        Args:
            key: The key.
            known: The values.
            otherwise: The value where it does not say; the first of `known` if not given.

        Raises:
            ValueError: If it is another.
        """
        value = self.values.get(key)
        if value is None:
            value = known[0] if otherwise is None else otherwise
        if not any(
            value == one and isinstance(value, bool) == isinstance(one, bool) for one in known
        ):
            wanted = " or ".join(_told(one) for one in known)
            raise ValueError(
                f"{self.path} says {key}: {_told(value)}, which our Decoder does not have; "
                f"only {key}: {wanted} can be imported."
            )
        return value


def _float(value: Any) -> float:
    """Reads a number, also where YAML takes one for text, as 1e-6 without a point."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _told(value: Any) -> str:
    """Writes a value as YAML and JSON do."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
