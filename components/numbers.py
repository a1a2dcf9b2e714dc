"""Options that are numbers: what Python, numpy and torch give as such, as plain ones."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from reprlib import repr as shortened
from typing import Any


def number(value: Any, option: str) -> float:
    """Returns a number as a plain one, which checkpoints can hold; plain ones stay as they are.

    Args:
        value: A number, an array or a tensor without axes.
        option: Owner and name of the option, for the message, such as "Huber: delta".

    Raises:
        ValueError: If it is none.
    """
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]  # it is one of both
    if not isinstance(value, str) and getattr(value, "shape", ()) == ():
        with suppress(TypeError, ValueError, OverflowError):
            return float(value)
    raise ValueError(f"{option}={shortened(value)} is not a number; give one.")


def count(value: Any, option: str) -> int:
    """Returns a whole number as a plain one; see `number`.

    Raises:
        ValueError: If it is no number, or no whole one.
    """
    found = number(value, option)
    if not float(found).is_integer():
        raise ValueError(f"{option}={shortened(value)} is not a whole number; give one.")
    return int(found)


def numbers(values: Any, option: str) -> tuple[float, ...]:
    """Returns numbers as plain ones; a single one is a row of one. See `number`.

    Args:
        values: A list, an array or a tensor of one axis, or a number.
        option: Owner and name of the option, for the message.

    Raises:
        ValueError: If one of them is no number.
    """
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (number(values, option),)
    return tuple(number(value, option) for value in values)
