"""Parts of a model as a checkpoint stores them: classes and options, with their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from framework.importing import check, foreign, located
from framework.modules.construction import describe


class ConfigNode:
    """A component as a checkpoint stores it: a class and its options, with their defaults.

    Args:
        owner: The checkpoint, for messages.
        label: The role of the component, for messages.
        value: Class path, or a mapping with class path and options.

    Raises:
        ValueError: If there is no such class, or it must not be imported.
    """

    def __init__(self, owner: str, label: str, value: Any) -> None:
        self.owner, self.label = owner, label
        stated = value if isinstance(value, Mapping) else {"class_path": value}
        path = str(stated.get("class_path"))
        with foreign():
            check(path)
            kind: Any = located(path)
        if kind is None:
            raise ValueError(
                f"{owner} names {label} {path}, which cannot be imported; install it."
            )
        defaults = {
            name: describe(parameter.default)
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.default is not parameter.empty
        }
        self.kind: type = kind
        self.defaults = defaults
        self.options: dict[str, Any] = {**defaults, **(stated.get("init_args") or {})}

    def flat(self, path: str) -> dict[str, Any]:
        """Returns the class and all options by their paths, those of inner parts included.

        Args:
            path: That of this component, such as "backbone".

        Example:
            >>> ConfigNode("X", "the norm", "components.RMSNorm").flat("norm")["norm.eps"]
            1e-06
        """
        found: dict[str, Any] = {path: self.kind}
        for name, value in self.options.items():
            inner = f"{path}.{name}"
            named = isinstance(value, str) and _is_part(self.defaults.get(name))
            if named or _is_part(value):
                found |= ConfigNode(self.owner, name, value).flat(inner)
            else:
                found[inner] = value
        return found

    def child(self, name: str) -> ConfigNode:
        """Returns the component that an option names."""
        return ConfigNode(self.owner, name, self.options[name])

    def must_be(self, *kinds: type) -> type:
        """Returns the class, which must be one of some.

        Args:
            kinds: The classes that the format can express.

        Raises:
            ValueError: If it is none of them.
        """
        if self.kind in kinds:
            return self.kind
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(
            f"{self.owner} has {self.label} {self.kind.__name__}, which the format cannot "
            f"express; only {names} can be exported."
        )

    def must_have(self, option: str, value: Any) -> None:
        """Checks the value of an option.

        Args:
            option: Its name.
            value: The only value that the format can express.

        Raises:
            ValueError: If it has another.
        """
        found = self.options.get(option)
        if found != value:
            text = found.get("class_path", found) if isinstance(found, Mapping) else found
            raise ValueError(
                f"{self.owner} has {self.kind.__name__} with {option}={text}, which the format "
                f"cannot express; only {option}={value} can be exported."
            )


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_path" in value
