"""Entries of a configuration: which of its keys are which options of ours, in both directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from framework.exchange.configuration import Configuration

Options = dict[str, Any]
"""Options of a model by their paths, such as `backbone.norm.eps`; `size`, `length` and `tied` too.
Where a path is that of a part, the value is its class."""

OWN = "own_readout"  # path of the fact whether there are tensors of a read-out of its own

ACTIVATIONS: dict[str, tuple[type[nn.Module], Options]] = {  # names of transformers
    "silu": (nn.SiLU, {}),
    "relu": (nn.ReLU, {}),
    "gelu": (nn.GELU, {"approximate": "none"}),
    "gelu_new": (nn.GELU, {"approximate": "tanh"}),
    "gelu_pytorch_tanh": (nn.GELU, {"approximate": "tanh"}),
}


class Entry(ABC):
    """Some keys of a configuration, and the options that they determine."""

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The keys."""

    @property
    @abstractmethod
    def options(self) -> tuple[str, ...]:
        """Paths of the options."""

    @abstractmethod
    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the options.

        Args:
            config: The configuration.
            known: Options that entries before this one have read.

        Raises:
            ValueError: If a value is invalid, or no model of ours has it.
        """

    @abstractmethod
    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes keys and values.

        Args:
            owner: The checkpoint, for messages.
            known: All options of a model.

        Raises:
            ValueError: If the format cannot express a value.
        """


@dataclass(frozen=True)
class Single(Entry):
    """One key that is one option.

    Args:
        key: The key.
        option: The path of the option.
        default: What a missing key means, or a function of what is known; None if it must be
            there.
    """

    key: str
    option: str
    default: Any | Callable[[Options], Any] = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The key."""
        return (self.key,)

    @property
    def options(self) -> tuple[str, ...]:
        """The path of the option."""
        return (self.option,)

    def fallback(self, known: Options) -> Any:
        """Returns what a missing key means."""
        return self.default(known) if callable(self.default) else self.default

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the value as it is."""
        return {self.key: known[self.option]}


class Size(Single):
    """A whole number of at least 1."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the number; see `Entry.read`."""
        return {self.option: config.size(self.key, self.fallback(known))}


class Number(Single):
    """A positive number."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the number; see `Entry.read`."""
        return {self.option: config.number(self.key, self.fallback(known))}


class Bound(Single):
    """A positive number, or null for no bound; a missing key means the default, null if None."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the number; see `Entry.read`."""
        found = config.values.get(self.key, self.default)
        return {self.option: None if found is None else config.number(self.key, found)}


class Flag(Single):
    """True or false."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the value; see `Entry.read`."""
        return {self.option: config.flag(self.key, bool(self.fallback(known)))}


class Repeated(Single):
    """A whole number that repeats one which is known."""

    @property
    def options(self) -> tuple[str, ...]:
        """None, as another entry has the option."""
        return ()

    def read(self, config: Configuration, known: Options) -> Options:
        """Checks the number; see `Entry.read`."""
        config.require(self.key, known[self.option])
        return {}


class Dropout(Single):
    """A probability to drop something while training, which is written but not read."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads nothing."""
        return {}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the value as it is."""
        return {self.key: known[self.option]}


@dataclass(frozen=True)
class Activation(Single):
    """The name of an activation.

    Args:
        names: Those that the format has; the first is the default.
        older: Names in older files, and which of `names` they mean there.
    """

    names: tuple[str, ...] = ()
    older: tuple[tuple[str, str], ...] = ()

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the name; see `Entry.read`."""
        older = dict(self.older)
        name = config.require(self.key, *self.names, *older)
        kind, options = ACTIVATIONS[older.get(name, name)]
        return {self.option: kind} | {f"{self.option}.{k}": v for k, v in options.items()}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the first name of the activation; see `Entry.write`."""
        kind = known[self.option]
        for name in self.names:
            known_kind, options = ACTIVATIONS[name]
            equal = all(known[f"{self.option}.{k}"] == v for k, v in options.items())
            if kind is known_kind and equal:
                return {self.key: name}
        raise ValueError(
            f"{owner} has the activation {kind.__name__}, which the format cannot express; only "
            f"{' or '.join(self.names)} can be exported."
        )

    @property
    def options(self) -> tuple[str, ...]:
        """The path of the activation, and of its options."""
        names = {k for name in self.names for k in ACTIVATIONS[name][1]}
        return (self.option, *(f"{self.option}.{name}" for name in sorted(names)))


@dataclass(frozen=True)
class Choice(Single):
    """A value that stands for one of ours.

    Args:
        values: Ours by theirs.
    """

    values: tuple[tuple[Any, Any], ...] = ()

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the value; see `Entry.read`."""
        theirs = [one for one, _ in self.values]
        found = config.require(self.key, *theirs, default=self.fallback(known))
        return {self.option: next(ours for one, ours in self.values if one == found)}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the value that stands for ours; see `Entry.write`."""
        found = known[self.option]
        for theirs, ours in self.values:
            if ours == found and isinstance(ours, bool) == isinstance(found, bool):
                return {self.key: theirs}
        wanted = " or ".join(_name(ours) for _, ours in self.values)
        raise ValueError(
            f"{owner} has {self.option}={_name(found)}, which the format cannot express; only "
            f"{wanted} can be exported."
        )


@dataclass(frozen=True)
class Derived(Entry):
    """An option that follows from the others and has no key, such as the scale of an embedding.

    Args:
        option: Its path.
        rule: Computes it from what is known.
    """

    option: str
    rule: Callable[[Options], Any]

    @property
    def keys(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def options(self) -> tuple[str, ...]:
        """The path of the option."""
        return (self.option,)

    def read(self, config: Configuration, known: Options) -> Options:
        """Computes the value."""
        return {self.option: self.rule(known)}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Checks the value; see `Entry.write`."""
        expected = self.rule(known)
        if known[self.option] != expected:
            raise ValueError(
                f"{owner} has {self.option}={known[self.option]}, which the format cannot "
                f"express; only {expected} can be exported."
            )
        return {}


@dataclass(frozen=True)
class Reciprocal(Single):
    """The number whose inverse square root is the factor of queries · keys."""

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the number; see `Entry.read`."""
        return {self.option: config.number(self.key, self.fallback(known)) ** -0.5}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the number; see `Entry.write`."""
        scale = known[self.option]
        number = float(known["backbone.head_dim"]) if scale is None else scale**-2
        return {self.key: round(number) if round(number) ** -0.5 == scale else number}


def _name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def each(keys: Mapping[str, str], kind: type[Single]) -> tuple[Entry, ...]:
    """Returns entries of one kind that have no default."""
    return tuple(kind(key, option) for key, option in keys.items())
