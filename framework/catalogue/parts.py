"""Parts that recipes can name: classes by the option that takes them, with one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy
from torch.nn import Module
from torch.optim import Optimizer

from framework.console import options
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.importing import LIBRARIES
from framework.modules.base import PredictiveModule
from framework.studies import Study

START: Mapping[str, type] = {  # options that take classes, from which all others are reached
    "model": PredictiveModule,
    "data": PredictiveData,
    "callbacks": Callback,
    "logger": Logger,
    "strategy": Strategy,
    "study": Study,
}
OURS = ("components", "framework")
ALWAYS = (Optimizer,)  # whose classes are those of torch


@cache
def kinds() -> Mapping[str, tuple[type, ...]]:
    """Returns the classes that each option takes, by its name, such as `head`."""
    found: dict[str, dict[type, None]] = {}
    waiting: list[tuple[str, Any]] = list(START.items())
    seen: set[type] = set()
    while waiting:
        name, hint = waiting.pop(0)
        for made in filter(_is_part, _classes(hint)):
            found.setdefault(name, {})[made] = None
            if made not in seen:
                seen.add(made)
                waiting += _options(made)
    several = {name: each for name, each in found.items() if len(each) > 1}
    return {name: tuple(sorted(several[name], key=_name)) for name in sorted(several)}


def find(name: str) -> str:
    """Returns the option that a name means, in the singular or the plural.

    Raises:
        UserError: If there is none.
    """
    known = kinds()
    for candidate in (
        name,
        name.removesuffix("s"),
        name.removesuffix("es"),
        f"{name}s",
        f"{name}es",
    ):
        if candidate in known:
            return candidate
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}."
    raise UserError(f"There are no parts called {name!r}; {hint}")


def listing(name: str) -> list[tuple[str, str]]:
    """Lists the classes of a kind: name and first sentence, with the package if not ours."""
    return [(made.__name__, _sentence(made)) for made in kinds()[name]]


def _options(made: type) -> Iterator[tuple[str, Any]]:
    for parameter in options.parameters(made) if made.__module__.startswith(OURS) else ():
        if parameter.name not in options.WIRED:
            yield parameter.name, parameter.annotation


def _classes(hint: Any) -> list[type]:
    """Returns the classes that a type admits; none where any module is as good as another."""
    found = list(options.classes(hint))
    return [] if Module in found else found


def _is_part(made: type) -> bool:
    """Whether a class is one that recipes name: of ours, of a plugin, or of a library."""
    if not hasattr(made, "__mro__") or made in (Trainer, *START.values()):
        return False
    root = made.__module__.partition(".")[0]
    library = root in LIBRARIES and root not in OURS
    named = issubclass(made, (*ALWAYS, *START.values()))
    return named or not library


def _sentence(made: type) -> str:
    root = made.__module__.partition(".")[0]
    text = options.first_sentence(made) if _own_docstring(made) else ""
    return text if root in OURS else f"{text} ({root})".strip()


def _own_docstring(made: type) -> bool:
    return bool(vars(made).get("__doc__")) and not str(made.__doc__).startswith(
        f"{made.__name__}("
    )


def _name(made: type) -> tuple[bool, str]:
    return made.__module__.partition(".")[0] not in OURS, made.__name__


def rows(names: Sequence[str]) -> list[tuple[str, str]]:
    """Lists kinds: name, and how many classes there are."""
    return [(name, f"{len(kinds()[name])} classes, such as {_examples(name)}") for name in names]


def _examples(name: str) -> str:
    return ", ".join(made.__name__ for made in kinds()[name][:3])
