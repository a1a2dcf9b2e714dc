"""Parsing errors in one sentence: which option, what was given, what to give instead."""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args, get_type_hints

from jsonargparse import ArgumentParser
from jsonargparse._parameter_resolvers import get_signature_parameters
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from framework.console import verbs
from framework.console.equal_parameters import WORD

WIRED = ("dim", "spec", "support")  # constructor arguments that code passes to a component
UNINFORMATIVE = (
    "Expected a <class 'NoneType'>",
    "Expected a path but",
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value",
)


class Complaint(NamedTuple):
    """One reason why a value was refused."""

    keys: tuple[str, ...]  # path to the value, from the top of the configuration
    owner: str  # import path of the innermost class on that path, "" at the top
    reason: str


def explain(message: str, parser: ArgumentParser) -> str:
    """Shortens what jsonargparse says about a command line to one sentence.

    Args:
        message: Its message, a tree of the refusals of every type that a value might have had.
        parser: The parser of the subcommand, which knows the options there are.
    """
    if found := re.match(r"unrecognized arguments: (\S+)", message):
        return _unknown_option(found[1], parser)
    if found := re.match(r"Subcommand '\w+' does not accept option '([^']+)'", message):
        return _unknown_option(found[1], parser)
    if found := re.search(r"argument subcommand: invalid choice: '([^']*)'", message):
        return f"there is no command '{found[1]}'; {_commands()}"
    if message.startswith('expected "subcommand"'):
        return f"a command is missing; {_commands()}"
    if found := re.match(r"the following arguments are required: (.*)", message):
        missing = re.sub(r"\b\w+\.(?=model|data)", "", found[1]).replace(", ", " and ")
        return (
            f"nothing says what {missing} to use; name a recipe, for example --config quickstart"
        )
    complaints = list(_complaints(message))
    if not complaints:
        return " ".join(message.split())
    keys = max((complaint.keys for complaint in complaints), key=len)
    reasons = [_reason(complaint, parser) for complaint in complaints if complaint.keys == keys]
    told = " or ".join(dict.fromkeys(reasons)).replace(" or expected", " or")
    given = re.search(r"(?:Got|Given) value: ((?:(?!\. Got value: ).)*)", message)
    got = f", got {given[1]}" if given and told.startswith("expected") else ""
    return ": ".join(filter(None, [".".join(keys), told + got]))


def explain_interpolation(error: OmegaConfBaseException) -> str:
    """Says in one sentence why a value `${...}` cannot be computed."""
    place = (error.full_key or "").partition(".")[2]  # without the command
    told = (error.msg or "").partition("\n")[0]
    if isinstance(error, UnsupportedInterpolationType):
        word = told.rpartition(" ")[2]
        known = get_close_matches(word, (WORD, "oc.env"), n=1)
        remedy = f"did you mean {known[0]}?" if known else "write the value itself."
        return f"{place}: nothing is called '{word}'; {remedy}"
    ours = told.partition("ValueError raised while resolving interpolation: ")[2]
    return ours or f"{place}: {told}"


def _complaints(message: str) -> Iterator[Complaint]:
    """Walks the leaves of a message, whose indentation is the path to a value."""
    keys: list[tuple[int, str]] = []
    owners: list[tuple[int, str]] = []
    for line in filter(str.strip, message.splitlines()):
        text = line.lstrip(" -")
        depth = len(line) - len(line.lstrip(" "))
        keys = [pair for pair in keys if pair[0] < depth]
        owners = [pair for pair in owners if pair[0] < depth]
        owners += [(depth, path) for path in re.findall(r"given class_path '([^']+)'", text)]
        keys += [(depth, key) for key in re.findall(r'Parser key "([^"]+)":', text)]
        text = re.sub(r".*(given class_path '[^']+'|Parser key \"[^\"]+\"):\s*", "", text)
        text = re.sub(r"^Type .* expects a function or a callable class:\s*", "", text)
        if text and not text.startswith(UNINFORMATIVE):
            inner = re.search(r"Got value: Namespace\(class_path='([^']+)'", line)
            owner = inner[1] if inner else owners[-1][1] if owners else ""
            yield Complaint(tuple(key for _, key in keys), owner, text)


def _reason(complaint: Complaint, parser: ArgumentParser) -> str:
    reason = re.sub(r"\.? Got value: .*", "", complaint.reason)
    if found := re.match(r"Expected a dot import path string: (.*)", reason):
        return _no_such_class(found[1], complaint, parser)
    if found := re.match(r"Option '([^']+)' is not accepted", reason):
        return _no_such_option(found[1], complaint.owner)
    if found := re.match(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*)\])", reason):
        return "expected " + (found[1] or f"one of {found[2]}")
    return reason


def _unknown_option(option: str, parser: ArgumentParser) -> str:
    name = option.partition("=")[0]
    dashes = "--" if name.startswith("-") else ""
    words = (word.lstrip("-") for word in parser._option_string_actions)
    known = {word for word in words if not word.endswith(".help")}
    bare = name.lstrip("-")
    close = get_close_matches(bare, known, n=2) or get_close_matches(
        bare.partition(".")[0], known, n=1
    )
    remedy = (
        f"did you mean {' or '.join(dashes + word for word in close)}?"
        if close
        else "--help lists all."
    )
    return f"there is no option {name}; {remedy}"


def _no_such_class(name: str, complaint: Complaint, parser: ArgumentParser) -> str:
    choices = sorted(set(_choices(_hint(complaint, parser))))
    close = get_close_matches(name.rpartition(".")[2], choices, n=2)
    if close:
        return f"there is no class '{name}' to choose here; did you mean {' or '.join(close)}?"
    remedy = f"choose from {', '.join(choices)}" if choices else "give the path to import it by"
    return f"there is no class '{name}' to choose here; {remedy}"


def _no_such_option(name: str, owner: str) -> str:
    label = owner.rpartition(".")[2]
    if name in WIRED:
        return f"{label} gets '{name}' from the model and the data; drop it"
    options = [option for option in _parameters(owner) if option not in WIRED]
    close = get_close_matches(name, options, n=2)
    remedy = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"it has {', '.join(options) or 'no options'}"
    )
    return f"{label} has no option '{name}'; {remedy}"


def _hint(complaint: Complaint, parser: ArgumentParser) -> Any:
    """Finds the type of the refused value, in the signature of its owner or in the parser."""
    if complaint.owner:
        return _parameters(complaint.owner).get(complaint.keys[-1])
    dest = ".".join(complaint.keys)
    return next((getattr(a, "_typehint", None) for a in parser._actions if a.dest == dest), None)


def _parameters(owner: str) -> dict[str, Any]:
    """Lists what a constructor takes and of what type, with what it passes on to its bases."""
    located = pydoc.locate(owner)
    found = get_signature_parameters(located, "__init__") if inspect.isclass(located) else []
    return {parameter.name: parameter.annotation for parameter in found}


def _choices(hint: Any) -> Iterator[str]:
    """Names the classes that a type hint admits: subclasses, also of what a factory makes."""
    if getattr(hint, "_is_protocol", False):
        yield from _choices(get_type_hints(hint.__call__)["return"])
    elif inspect.isclass(hint) and not get_args(hint):
        if hint.__module__ != "builtins":
            yield from _final(hint)
    else:
        for inner in get_args(hint):
            if not isinstance(inner, list):  # the arguments of a Callable
                yield from _choices(inner)


def _final(base: type) -> Iterator[str]:
    if not inspect.isabstract(base) and not base.__name__.startswith("_"):
        yield base.__name__
    derived: type
    for derived in base.__subclasses__():
        yield from _final(derived)


def _commands() -> str:
    """Says which commands there are."""
    return "choose from " + ", ".join(
        ["fit", "validate", "test", "predict", "recipes", *verbs.names()]
    )
