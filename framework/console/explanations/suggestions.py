"""Sentences on unknown names of options and classes, with the nearest ones that exist."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from framework.console import options, recipes
from framework.console.options import WIRED
from framework.importing import located

SYNONYMS = {
    "learning_rate": "lr",
    "wd": "weight_decay",
    "steps": "max_steps",
    "epochs": "max_epochs",
    "gpus": "devices",
    "bs": "batch_size",
    "checkpoint_path": "ckpt_path",
    "auto_resume": "resume",
}
MOST = 4  # names in a hint


def unknown_option(option: str, parser: ArgumentParser, words: Sequence[str] = ()) -> str:
    """Says that the parser has no such option, and which was meant.

    Args:
        option: A word of the command line, or a key of a recipe.
        parser: The parser of the verb.
        words: Words of the command line, recipes by path.
    """
    name = option.partition("=")[0]
    if not name.startswith("-") and name in words and (recipe := _recipe(name)):
        return f"there is no option {name}; did you mean --config {recipe}?"
    dashes = "--" if name.startswith("-") or option in words else ""
    bare = name.lstrip("-").replace("-", "_")
    known = [known.name for known in options.known(parser, words)]
    known = [other for other in known if other != bare or dashes]
    close = _same_end(bare, known) or _close(bare, known)
    return f"there is no option {name}; {_hint(close, '--help lists all.', dashes)}"


def unknown_option_of_class(
    name: str, owner: str, start: str, parser: ArgumentParser, words: Sequence[str], dashes: str
) -> str:
    """Says that a class has no such option, and which was meant.

    Args:
        name: What was given.
        owner: Path of the class.
        start: Name of the option that holds the class.
        parser: The parser of the verb.
        words: Words of the command line, recipes by path.
        dashes: What stands before a full name: "--" where the option was given as a flag.
    """
    if not owner:
        return unknown_option(f"{dashes}{name}", parser, words)
    label = owner.rpartition(".")[2]
    own = [known.name for known in options.parameters(owner) if known.name not in WIRED]
    known = {known.name for known in options.known(parser, words)}
    in_a_list = not known & {f"{start}.{other}" for other in own}  # or under a name of its own
    path = start if in_a_list else f"{start}.{name}"
    if name in WIRED:
        return f"{path}: {label} gets '{name}' from the model and the data; drop it"
    same = _same_end(name, sorted(full for full in known if full.startswith(f"{start}.")))
    close = get_close_matches(name, own, n=2)
    others = " or ".join(_others_with(name, owner))
    choices = f"{others} has" if others else f"it has {', '.join(own) or 'no options'}"
    hint = _hint(same, "", dashes) or _hint(close, choices)
    return f"{path}: {label} has no option '{name}'; {hint}"


def no_class(mapping: str) -> tuple[str, str]:
    """Says that a mapping names no class; returns the key that was meant to, or "", as well.

    Args:
        mapping: What was given, as Python writes it.
    """
    keys = re.findall(r"'([^']*)': ", mapping)
    for meant in ("class_path", "init_args"):
        if meant not in keys and (close := get_close_matches(meant, keys, n=1)):
            return f"'{close[0]}' is no key of a class; did you mean {meant}?", close[0]
    return "this names no class; write class_path and, below init_args, its options", ""


def unknown_class(name: str, hint: Any) -> str:
    """Says that there is no such class, and which was meant or what there is.

    Args:
        name: What was given.
        hint: The type that admits classes.
    """
    names = class_names(hint)
    close = get_close_matches(name.rpartition(".")[2], names, n=2)
    choices = f"choose from {', '.join(names)}" if names else "give the path to import it by"
    return f"there is no class '{name}' to choose here; {_hint(close, choices)}"


def other_owner(option: str, owner: str, inner: str) -> str:
    """Says which classes a part needs around it, "" if none of the kind has such an option.

    Args:
        option: The option that holds the part.
        owner: Path of the class that has no such option.
        inner: Path of the part.
    """
    others = " or ".join(_others_with(option, owner))
    kind, label = inner.rpartition(".")[2], owner.rpartition(".")[2]
    said = f"{kind} needs {others}, and this is {label}, which has no option '{option}'"
    return said if others else ""


def mapping(message: str) -> str:
    """Shows how to write a mapping; the one that was meant, if it was written as `key=value`.

    Args:
        message: That of jsonargparse, which ends with what was given.
    """
    given = re.search(r"Given value: (.*)=([^=]+)$", message)
    key, value = (given[1], given[2].strip()) if given else ("name", "value")
    return f"'{{{json.dumps(key, ensure_ascii=False)}: {value}}}'"


def class_names(hint: Any) -> list[str]:
    """Returns the short names of the classes that a type admits, sorted."""
    return sorted({found.__name__ for found in options.classes(hint)})


def missing_options(names: Sequence[str], owner: str, start: str) -> str:
    """Says which options a class needs, and what they may be.

    Args:
        names: Those that were not given.
        owner: Path of the class.
        start: Name of the option that holds the class.
    """
    hints = {known.name: known.annotation for known in options.parameters(owner)}
    choices = [class_names(hints.get(name)) for name in names]
    wanted = [
        f"--{start}.{name}" + (f" ({', '.join(some)})" if some else "")
        for name, some in zip(names, choices, strict=True)
    ]
    label = owner.rpartition(".")[2]
    return f"{label} needs {' and '.join(names)}; give {' and '.join(wanted)}"


def missing(names: Sequence[str], parser: ArgumentParser) -> str:
    """Says which arguments of a verb are missing, and how to give them.

    Args:
        names: Those arguments.
        parser: The parser of the verb.
    """
    wanted = [name.rpartition(".")[2] for name in names]
    if not {"model", "data"}.issuperset(wanted):
        usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
        return f"{' and '.join(wanted)} must be given; write `{usage}`"
    return (
        f"nothing says what {' and '.join(wanted)} to use; name a recipe, for example "
        "--config quickstart"
    )


def _others_with(option: str, owner: str) -> list[str]:
    """Names the classes of the same kind as `owner` that have an option."""
    found = located(owner)
    bases = inspect.getmro(found) if inspect.isclass(found) else ()
    kinds = [base for base in bases if inspect.isabstract(base)]
    classes = dict.fromkeys(options.concrete(kinds[-1])) if kinds else {}
    names = {made: [known.name for known in options.parameters(made)] for made in classes}
    return [made.__name__ for made, known in names.items() if option in known]


def _hint(close: Sequence[str], otherwise: str, dashes: str = "") -> str:
    if not close:
        return otherwise
    return f"did you mean {' or '.join(dashes + name for name in close)}?"


def _same_end(name: str, known: Iterable[str]) -> list[str]:
    """Returns the full names whose last part is that of a name, or a synonym of it."""
    end = name.rpartition(".")[2]
    ends = (end, SYNONYMS.get(end, end))
    return [full for full in known if full.rpartition(".")[2] in ends][:MOST]


def _close(name: str, known: Sequence[str]) -> list[str]:
    """Returns the names that look like one: in whole, in their last part, or in their first."""
    top = [full for full in known if "." in name or "." not in full]
    if close := get_close_matches(name, top, n=2):
        return close
    ends = {full.rpartition(".")[2]: full for full in reversed(known)}
    ends |= {word: ends[end] for word, end in SYNONYMS.items() if end in ends}
    if "." not in name and (close := get_close_matches(name, ends, n=2)):
        return [ends[end] for end in close]
    return get_close_matches(name.partition(".")[0], top, n=1)


def _recipe(name: str) -> str:
    """Returns the name of the recipe that a word names or almost names, "" if there is none."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return name
    return next(iter(recipes.close_names(name, recipes.recipes())), "")
