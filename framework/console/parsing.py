"""Parsing errors in one sentence: which option, what was given, what to give instead; a parser."""

from __future__ import annotations

import inspect
import json
import pydoc
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from jsonargparse._parameter_resolvers import get_signature_parameters
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from framework.console import class_options, verbs
from framework.console.equal_parameters import RESOLVER
from framework.console.errors import UserError

WIRED = ("dim", "spec", "support")  # constructor arguments that code passes, not recipes
GIVEN_CLASS = r"Got value: Namespace\((?:init_args=.*, )?class_path='([^']+)'"
UNINFORMATIVE = (
    "Expected a <class 'NoneType'>",
    "Expected a path but",
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value",
)


class VerbParser(ArgumentParser):
    """Parses the arguments of a verb, and reports errors in one sentence.

    Args:
        options: Those of `ArgumentParser`: `prog`, the command with its verb, and `description`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"exit_on_error": False, "allow_abbrev": False, **options})

    def parse(self, args: list[str]) -> Namespace:
        """Parses arguments.

        Raises:
            UserError: If one is wrong or missing.
        """
        try:
            with class_options.corrected():
                return self.parse_args(args)
        except ArgumentError as error:
            raise UserError(explain(error.message, self)) from error


class Rejection(NamedTuple):
    """One reason why a value was rejected."""

    keys: tuple[str, ...]  # path to the value, from the top of the configuration
    owner: str  # import path of the innermost class on that path, "" at the top
    reason: str


def explain(message: str, parser: ArgumentParser) -> str:
    """Shortens an error message of jsonargparse to one sentence.

    Args:
        message: A tree with one reason for each type that the value could have had.
        parser: The parser of the verb, which knows the options.
    """
    if found := re.match(r"unrecognized arguments: (\S+)", message):
        return _unknown_option(found[1], parser)
    if found := re.match(r"Subcommand '\w+' does not accept option '([^']+)'", message):
        return _unknown_option(found[1], parser)
    if found := re.search(r"argument subcommand: invalid choice: '([^']*)'", message):
        return str(verbs.unknown(found[1]))
    if message.startswith('expected "subcommand"'):
        return str(verbs.unknown(""))
    if found := re.match(r"the following arguments are required: (.*)", message):
        return _missing(found[1].split(", "), parser)
    rejections = list(_rejections(message))
    if not rejections:
        return " ".join(message.split())
    keys = max((rejection.keys for rejection in rejections), key=len)
    reasons = [_reason(rejection, parser) for rejection in rejections if rejection.keys == keys]
    reason = " or ".join(dict.fromkeys(reasons)).replace(" or expected", " or")
    if reason.startswith("expected dict"):
        reason = reason.replace("dict", f"a mapping such as {_mapping(message)}", 1)
    given = re.search(r"(?:Got|Given) value: ((?:(?!\. Got value: ).)*)", message)
    got = f", got {given[1]}" if given and reason.startswith("expected") else ""
    return ": ".join(filter(None, [".".join(keys), reason + got]))


def explain_interpolation(error: OmegaConfBaseException) -> str:
    """Returns one sentence on why an interpolation `${...}` cannot be resolved."""
    key = (error.full_key or "").partition(".")[2]  # without the verb
    message = (error.msg or "").partition("\n")[0]
    if isinstance(error, UnsupportedInterpolationType):
        name = message.rpartition(" ")[2]
        known = get_close_matches(name, (RESOLVER, "oc.env"), n=1)
        hint = f"did you mean {known[0]}?" if known else "write the value itself."
        return f"{key}: there is no resolver '{name}'; {hint}"
    ours = message.partition("ValueError raised while resolving interpolation: ")[2]
    return ours or f"{key}: {message}"


def _rejections(message: str) -> Iterator[Rejection]:
    """Yields the leaves of a message, a tree in which indentation is the path to a value."""
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
            inner = re.search(GIVEN_CLASS, line)
            owner = inner[1] if inner else owners[-1][1] if owners else ""
            yield Rejection(tuple(key for _, key in keys), owner, text)


def _reason(rejection: Rejection, parser: ArgumentParser) -> str:
    reason = re.sub(r"\.? Got value: .*", "", rejection.reason)
    if found := re.match(r"Expected a dot import path string: (.*)", reason):
        return _no_such_class(found[1], rejection, parser)
    if found := re.match(r"Option '([^']+)' is not accepted", reason):
        return _no_such_option(found[1], rejection)
    if found := re.match(r"No module named '([^']+)'", reason):
        return (
            f"there is no module '{found[1]}' in the working directory or beside the recipe, and "
            "none is installed; check the name, or run where it is"
        )
    if found := re.match(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*)\])", reason):
        return "expected " + (found[1] or f"one of {found[2]}")
    return reason


def _missing(names: list[str], parser: ArgumentParser) -> str:
    wanted = [name.rpartition(".")[2] for name in names]
    if not {"model", "data"}.issuperset(wanted):
        usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
        return f"{' and '.join(wanted)} must be given; write `{usage}`"
    return (
        f"nothing says what {' and '.join(wanted)} to use; name a recipe, for example "
        "--config quickstart"
    )


def _unknown_option(option: str, parser: ArgumentParser) -> str:
    name = option.partition("=")[0]
    dashes = "--" if name.startswith("-") else ""
    options = (option.lstrip("-") for option in parser._option_string_actions)
    known = {option for option in options if not option.endswith(".help")}
    bare = name.lstrip("-")
    close = get_close_matches(bare, known, n=2) or get_close_matches(
        bare.partition(".")[0], known, n=1
    )
    hint = (
        f"did you mean {' or '.join(dashes + option for option in close)}?"
        if close
        else "--help lists all."
    )
    return f"there is no option {name}; {hint}"


def _no_such_class(name: str, rejection: Rejection, parser: ArgumentParser) -> str:
    choices = sorted(set(_choices(_hint(rejection, parser))))
    close = get_close_matches(name.rpartition(".")[2], choices, n=2)
    if close:
        return f"there is no class '{name}' to choose here; did you mean {' or '.join(close)}?"
    hint = f"choose from {', '.join(choices)}" if choices else "give the path to import it by"
    return f"there is no class '{name}' to choose here; {hint}"


def _no_such_option(name: str, rejection: Rejection) -> str:
    label = rejection.owner.rpartition(".")[2]
    if name in WIRED:
        return f"{label} gets '{name}' from the model and the data; drop it"
    option = name.partition(".")[0]
    options = [other for other in _parameters(rejection.owner) if other not in WIRED]
    if option == name and (close := get_close_matches(name, options, n=2)):
        return f"{label} has no option '{name}'; did you mean {' or '.join(close)}?"
    others = " or ".join(_others_with(option, rejection.owner))
    given = re.search(rf"\b{option}=Namespace\(class_path='([^']+)'", rejection.reason)
    if others and given:
        kind = given[1].rpartition(".")[2]
        return f"{kind} needs {others}, and this is {label}, which has no option '{option}'"
    hint = f"{others} has" if others else f"it has {', '.join(options) or 'no options'}"
    return f"{label} has no option '{name}'; {hint}"


def _others_with(option: str, owner: str) -> list[str]:
    """Names the classes of the same kind as `owner` that have an option."""
    located = pydoc.locate(owner)
    bases = inspect.getmro(located) if inspect.isclass(located) else ()
    kinds = [base for base in bases if inspect.isabstract(base)]
    classes = dict.fromkeys(_concrete_classes(kinds[-1])) if kinds else {}
    paths = {f"{kind.__module__}.{kind.__qualname__}": kind.__name__ for kind in classes}
    return [name for path, name in paths.items() if option in _parameters(path)]


def _mapping(message: str) -> str:
    """Shows how to write a mapping; the one that was meant, if it was written as `key=value`."""
    given = re.search(r"Given value: (.*)=([^=]+)$", message)
    key, value = (given[1], given[2].strip()) if given else ("name", "value")
    return f"'{{{json.dumps(key, ensure_ascii=False)}: {value}}}'"


def _hint(rejection: Rejection, parser: ArgumentParser) -> Any:
    """Returns the type of the rejected value, from the signature of its owner or the parser."""
    if rejection.owner:
        return _parameters(rejection.owner).get(rejection.keys[-1])
    dest = ".".join(rejection.keys)
    return next((getattr(a, "_typehint", None) for a in parser._actions if a.dest == dest), None)


def _parameters(owner: str) -> dict[str, Any]:
    """Returns the types of the arguments of a constructor, with those it passes to its bases."""
    located = pydoc.locate(owner)
    found = get_signature_parameters(located, "__init__") if inspect.isclass(located) else []
    return {parameter.name: parameter.annotation for parameter in found}


def _choices(hint: Any) -> Iterator[str]:
    """Yields the names of the classes that a type admits; of a factory, of those that it makes."""
    if getattr(hint, "_is_protocol", False):
        yield from _choices(get_type_hints(hint.__call__)["return"])
    elif inspect.isclass(hint) and not get_args(hint):
        if hint.__module__ != "builtins":
            yield from _concrete(hint)
    else:
        for inner in get_args(hint):
            if not isinstance(inner, list):  # the arguments of a Callable
                yield from _choices(inner)


def _concrete(base: type) -> Iterator[str]:
    yield from (kind.__name__ for kind in _concrete_classes(base))


def _concrete_classes(base: type) -> Iterator[type]:
    if not inspect.isabstract(base) and not base.__name__.startswith("_"):
        yield base
    derived: type
    for derived in base.__subclasses__():
        yield from _concrete_classes(derived)
