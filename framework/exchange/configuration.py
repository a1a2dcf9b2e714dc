"""The configuration of a published model, with one sentence for each invalid value."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any


class Configuration:
    """Keys and values of a published model, checked when they are read.

    Args:
        path: The file that they come from, for messages.
        values: The keys and values.
    """

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        self.path, self.values = path, values

    def has(self, key: str) -> bool:
        """Returns whether a key has a value other than null."""
        return self.values.get(key) is not None

    def require_known(self, known: Collection[str], title: str) -> None:
        """Checks that every key is one that a format has.

        Args:
            known: The keys that it has.
            title: What such a model is called, for the message.

        Raises:
            ValueError: If one is unknown, whatever its value.
        """
        for key, value in self.values.items():
            if key not in known:
                raise ValueError(
                    f"{self.path} says {key}: {text_of(value)}, which is unknown for {title} and "
                    "may change what the model computes; remove the key if it does not."
                )

    def size(self, key: str, default: int | None = None) -> int:
        """Returns a whole number of at least 1, or the default where the key has no value.

        Raises:
            ValueError: If the value is invalid, or there is neither a value nor a default.
        """
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{self.path} says {key}: {text_of(value)}; a whole number of at least 1 is "
                "needed."
            )
        return value

    def number(self, key: str, default: float) -> float:
        """Returns a positive number, or the default where the key has no value.

        Raises:
            ValueError: If the value is invalid.
        """
        value = self.values.get(key)
        found = default if value is None else _float(value)
        if not 0 < found < math.inf:
            raise ValueError(f"{self.path} says {key}: {value}; a positive number is needed.")
        return found

    def real(self, key: str) -> float:
        """Returns a number.

        Raises:
            ValueError: If there is none, or the value is invalid.
        """
        found = _float(self.values.get(key))
        if not math.isfinite(found):
            value = text_of(self.values.get(key))
            raise ValueError(f"{self.path} says {key}: {value}; a number is needed.")
        return found

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false, or the default where the key has no value.

        Raises:
            ValueError: If the value is invalid.
        """
        value = self.values.get(key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise ValueError(f"{self.path} says {key}: {value}; true or false is needed.")
        return value

    def require(self, key: str, *known: Any, default: Any = None) -> Any:
        """Returns a value, which must be one that a model of ours can have.

        Args:
            key: The key.
            known: The values that it can have.
            default: What a missing key means; the first of `known` if not given.

        Raises:
            ValueError: If the value is another.
        """
        value = self.values.get(key)
        if value is None:
            value = known[0] if default is None else default
        if not any(
            value == one and isinstance(value, bool) == isinstance(one, bool) for one in known
        ):
            wanted = " or ".join(text_of(one) for one in known)
            said = "says" if self.values.get(key) is not None else "leaves out a key, which means"
            raise ValueError(
                f"{self.path} {said} {key}: {text_of(value)}, which no model of ours has; "
                f"only {key}: {wanted} can be imported."
            )
        return value


def _float(value: Any) -> float:
    """Reads a number, also where YAML takes one for text, as 1e-6 without a point."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


def text_of(value: Any) -> str:
    """Writes a value as YAML and JSON do."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
