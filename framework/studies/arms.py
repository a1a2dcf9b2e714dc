"""The arms of a comparison: values of options in all their combinations, and overlays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from framework.console.errors import UserError
from framework.console.options import short
from framework.studies.grid import RATE

UNCHANGED = "recipe"  # the arm of a recipe as it is
LIKE = "--vary model.head=LinearHead,FourierHead(frequencies=12)"
OPENING, CLOSING = "([{", ")]}"


class Arms(NamedTuple):
    """What is compared."""

    words: Mapping[str, list[str]]  # of the command line, by the name of the arm
    rates: Sequence[float]  # learning rates, of which each arm gets the best


class Choice(NamedTuple):
    """One value of what is varied."""

    name: str
    words: list[str]


def read_arms(varied: Sequence[str], overlays: Sequence[str]) -> Arms:
    """Reads what the options `--vary` and `--overlays` say.

    Values of several options are combined, each with each. Overlays are arms of their own, beside
    the recipe as it is where nothing else is varied; `a+b` is one arm with two overlays. The
    learning rate makes no arms: each gets the best of its values.

    Args:
        varied: Texts `OPTION=VALUE,VALUE`. A class may have options in brackets, as in
            `FourierHead(frequencies=12,bins=64)`.
        overlays: Names of overlays, separated by commas.

    Raises:
        UserError: If one says nothing, two arms have one name, or there is only one.

    Example:
        >>> words, rates = read_arms(["model.head=Plain,Fan(bins=8)", "model.optimizer.lr=1"], [])
        >>> words["Fan-bins=8"], rates
        (['--model.head=Fan', '--model.head.bins=8'], [1.0])
    """
    factors: dict[str, list[str]] = {}
    for text in varied:
        option, values = _factor(text)
        if option in factors:
            raise UserError(f"--vary names {option} twice; give all of its values at once.")
        factors[option] = values
    rates = [_rate(value) for value in factors.pop(RATE.removeprefix("--"), [])]
    choices = [[_choice(option, value) for value in values] for option, values in factors.items()]
    arms = [_joined(each) for each in product(*choices)] if factors else []
    others = [_overlaid(name) for text in overlays for name in _parts(text)]
    if not arms and (others or rates):
        arms = [Choice(UNCHANGED, [])]
    return Arms(_by_name([*arms, *others]), rates)


def _factor(text: str) -> tuple[str, list[str]]:
    """Divides `OPTION=VALUE,VALUE`."""
    option, equals, values = text.partition("=")
    found = list(_parts(values))
    if not equals or not option or not all(found):
        raise UserError(f"--vary {text!r} is not OPTION=VALUE,VALUE; write it as in {LIKE}.")
    return short(option.lstrip("-")), found


def _parts(text: str) -> Iterator[str]:
    """Yields the parts between the commas that are not in brackets."""
    depth, begin = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in OPENING) - (letter in CLOSING)
        if letter == "," and not depth:
            yield text[begin:place].strip()
            begin = place + 1
    if depth:
        raise UserError(f"{text!r} has a bracket without its other one; write it as in {LIKE}.")
    yield text[begin:].strip()


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{RATE}={text} is no number; give learning rates.") from error


def _choice(option: str, value: str) -> Choice:
    """Reads a value: a class, perhaps with options in brackets, or anything else."""
    if found := re.fullmatch(r"([A-Za-z_][\w.]*)\((.*)\)", value):
        inner = [part for part in _parts(found[2]) if part]
        if wrong := [part for part in inner if "=" not in part]:
            raise UserError(f"{value}: {wrong[0]!r} is not OPTION=VALUE; write it as in {LIKE}.")
        words = [f"--{option}={found[1]}", *(f"--{option}.{part}" for part in inner)]
        return Choice(_safe("-".join([found[1].rpartition(".")[2], *inner])), words)
    named = re.fullmatch(r"(?:\w+\.)*[A-Z]\w*", value) is not None  # a class
    name = value.rpartition(".")[2] if named else f"{option.rpartition('.')[2]}={value}"
    return Choice(_safe(name), [f"--{option}={value}"])


def _joined(choices: Sequence[Choice]) -> Choice:
    words = [word for choice in choices for word in choice.words]
    return Choice("+".join(choice.name for choice in choices), words)


def _overlaid(text: str) -> Choice:
    names = [name.strip() for name in text.split("+")]
    if not all(names):
        raise UserError(f"--overlays {text!r} names no overlay; `overtone recipes` lists them.")
    short_names = (name.rpartition("/")[2].removesuffix(".yaml") for name in names)
    words = [f"--config={name}" for name in names]
    return Choice(_safe("+".join(short_names)), words)


def _safe(name: str) -> str:
    """Returns a name that can be one of a folder, and that of no group."""
    return re.sub(r"[^\w.=+-]+", "-", name).strip("-.")


def _by_name(arms: Sequence[Choice]) -> dict[str, list[str]]:
    names = [arm.name for arm in arms]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"Two arms are called {sorted(twice)[0]}; leave one of them out.")
    if not arms:
        raise UserError(f"compare has nothing to compare; vary an option, as in {LIKE}.")
    return {arm.name: arm.words for arm in arms}
