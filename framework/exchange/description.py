"""What a recipe of ours says about a part, with the options that it leaves to their defaults."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Mapping
from typing import Any

from framework.modules.recipe import describe


class Described:
    """A part of a recipe: a class and its options.

    Args:
        owner: Where the recipe stands, for messages.
        label: What the part is in it.
        value: The path of the class, or a mapping with it and with options.

    Raises:
        ValueError: If there is no such class.
    """

    def __init__(self, owner: str, label: str, value: Any) -> None:
        self.owner, self.label = owner, label
        stated = value if isinstance(value, Mapping) else {"class_path": value}
        path = str(stated.get("class_path"))
        kind: Any = pydoc.locate(path)
        if kind is None:
            raise ValueError(
                f"{owner} names {label} {path}, which cannot be imported; install it."
            )
        defaults = {
            name: describe(parameter.default)
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.default is not parameter.empty
        }
        self.kind = kind
        self.options: dict[str, Any] = {**defaults, **(stated.get("init_args") or {})}

    def part(self, name: str) -> Described:
        """Returns what an option names."""
        return Described(self.owner, name, self.options[name])

    def must_be(self, *paths: str) -> str:
        """Returns which of some classes it is.

        Args:
            paths: Where they are imported from.

        Raises:
            ValueError: If it is none of them.
        """
        for path in paths:
            if self.kind is pydoc.locate(path):
                return path
        names = " or ".join(path.rpartition(".")[2] for path in paths)
        raise ValueError(
            f"{self.owner} has {self.label} {self.kind.__name__}, which the format cannot "
            f"express; only {names} can be exported."
        )

    def must_have(self, option: str, value: Any) -> None:
        """Checks an option.

        Args:
            option: Its name.
            value: What it must be.

        Raises:
            ValueError: If it is something else.
        """
        found = self.options.get(option)
        if found != value:
            raise ValueError(
                f"{self.owner} has {self.kind.__name__} with {option}={_told(found)}, which the "
                f"format cannot express; only {option}={value} can be exported."
            )


def _told(value: Any) -> str:
    return str(value.get("class_path", value)) if isinstance(value, Mapping) else str(value)
