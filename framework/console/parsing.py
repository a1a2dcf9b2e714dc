"""Parsing errors in one sentence: where, which option, what was given, what to give instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from framework.class_checks import NO_FACTORY
from framework.console import class_options, trust, verbs
from framework.console.equal_parameters import RESOLVER
from framework.console.errors import UserError
from framework.console.explanations import class_paths, places, rejections, suggestions
from framework.console.explanations.rejections import Rejection
from framework.console.options import given, loaded, parameters, short
from framework.console.recipes import RUN_NAME
from framework.importing import STANDARD, UNTRUSTED

SPECIFIC = (  # reasons that concern a class, not a type
    "Option '",
    "the following arguments are required",
    "No module named '",
    "module '",
    "Expected '",
    "Import path ",
)
MALFORMED = {  # descriptions of a class; what is wrong with them, and at which key
    "'NoneType' object has no attribute 'keys'": ("init_args holds nothing; drop it", "init_args"),
    "'str' object has no attribute 'keys'": ("init_args is no mapping of options", "init_args"),
    "unhashable type: 'dict'": ("class_path is no name of a class", "class_path"),
    "unhashable type: 'list'": ("class_path is no name of a class", "class_path"),
    "Expected an import path or a subclass spec": ("expected the name of a class", ""),
    "Empty nested key": ("a key is empty", ""),
    "Expected an instantiatable class": (
        "this names no class; its keys are class_path and init_args",
        "",
    ),
}
REFUSED = (  # how sentences go on that name a class which is not imported or not called
    STANDARD,
    UNTRUSTED,
    NO_FACTORY,
)
LONGEST = 80  # of a value that is repeated in a sentence


class VerbParser(ArgumentParser):
    """Parses the arguments of a verb, and reports errors in one sentence.

    Args:
        options: Those of `ArgumentParser`: `prog`, the command with its verb, and `description`.
    """

    def __init__(self, **options: Any) -> None:
        epilog = trust.help_of(options.get("prog", ""))
        own = {"exit_on_error": False, "allow_abbrev": False, "epilog": epilog}
        super().__init__(**{**own, **options})

    def parse(self, args: list[str]) -> Namespace:
        """Parses arguments.

        Raises:
            UserError: If one is wrong or missing.
        """
        try:
            with class_options.corrected():
                return self.parse_args(args)
        except ArgumentError as error:
            raise UserError(explain(error.message, self, args)) from error


class Fault(NamedTuple):
    """What is wrong, in one sentence, and where."""

    sentence: str
    keys: tuple[str, ...] = ()  # path to the value, from the top of the configuration
    text: str = ""  # the key, class or value there

    def located(self, words: Sequence[str]) -> str:
        """Returns the sentence behind the file and the line of the recipe that is at fault."""
        place = places.find(words, self.keys, self.text)
        return f"{place}: {self.sentence}" if place else self.sentence


def explain(message: str, parser: ArgumentParser, words: Sequence[str] = ()) -> str:
    """Shortens an error message of jsonargparse to one sentence.

    Args:
        message: A tree with one reason for each type that the value could have had.
        parser: The parser of the verb, which knows the options.
        words: Words of the command line, recipes by path.
    """
    return _fault(message, parser, words).located(words)


def explain_interpolation(error: OmegaConfBaseException, words: Sequence[str] = ()) -> str:
    """Returns one sentence on why an interpolation `${...}` cannot be resolved.

    Args:
        error: What OmegaConf raised.
        words: Words of the command line, recipes by path.
    """
    key = (error.full_key or "").partition(".")[2]  # without the verb
    keys = tuple(short(re.sub(r"\[\d+\]", "", key)).split("."))
    return Fault(_unresolved(error, key), keys, "${").located(words)


def check_groups(names: Sequence[str], words: Sequence[str]) -> None:
    """Checks that what should be mappings of options are, which jsonargparse does not.

    Args:
        names: Those that hold options.
        words: Words of the command line, recipes by path.

    Raises:
        UserError: If a recipe gives something else.
    """
    for option, path in given(words):
        recipe = loaded(path) if option in ("c", "config") else {}
        for name in names:
            value = recipe.get(name, {}) if isinstance(recipe, dict) else {}
            if not isinstance(value, dict | str):
                sentence = f"{name}: expected a mapping of options, got {value}"
                raise UserError(Fault(sentence, (name,)).located(["--config", path]))


def _unresolved(error: OmegaConfBaseException, key: str) -> str:
    message = (error.msg or "").partition("\n")[0]
    if isinstance(error, UnsupportedInterpolationType):
        name = message.rpartition(" ")[2]
        known = get_close_matches(name, (RESOLVER, RUN_NAME, "oc.env"), n=1)
        hint = f"did you mean {known[0]}?" if known else "write the value itself."
        return f"{key}: there is no resolver '{name}'; {hint}"
    ours = message.partition("ValueError raised while resolving interpolation: ")[2]
    others = message.partition(" raised while resolving interpolation: ")[2].strip("\"'")
    return ours or f"{key}: {others or message}"


def _fault(message: str, parser: ArgumentParser, words: Sequence[str]) -> Fault:
    if found := re.match(r"unrecognized arguments: (\S+)", message):
        return Fault(suggestions.unknown_option(found[1], parser, words))
    if found := re.match(r"Subcommand '\w+' does not accept option '([^']+)'", message):
        keys = tuple(short(found[1]).split("."))
        return Fault(suggestions.unknown_option(found[1], parser, words), keys[:-1], keys[-1])
    if found := re.search(r"argument subcommand: invalid choice: '([^']*)'", message):
        return Fault(str(verbs.unknown(found[1])))
    if message.startswith('expected "subcommand"'):
        return Fault(str(verbs.unknown("")))
    if found := re.match(r"the following arguments are required: (.*)", message):
        return Fault(suggestions.missing(found[1].split(", "), parser))
    for name, path, problem in class_paths.broken(words):
        return Fault(f"{name}: {problem}", (name,), path)
    reasons = list(rejections.read(message))
    if not reasons:
        return Fault(" ".join(message.split()))
    return _rejected(reasons, message, parser, words)


def _rejected(
    reasons: Sequence[Rejection], message: str, parser: ArgumentParser, words: Sequence[str]
) -> Fault:
    """Joins the reasons that were given for the innermost value."""
    keys = max((rejection.keys for rejection in reasons), key=len)
    innermost = [rejection for rejection in reasons if rejection.keys == keys]
    specific = [rejection for rejection in innermost if rejection.reason.startswith(SPECIFIC)]
    faults = [_reason(rejection, parser, words) for rejection in specific or innermost]
    expected = [fault.sentence for fault in faults if fault.sentence.startswith("expected")]
    refused = [fault for fault in faults if any(words in fault.sentence for words in REFUSED)]
    if refused or not expected:
        return (refused or faults)[0]
    found = re.search(r"(?:Got|Given) value: ((?:(?!\. Got value: ).)*)", message)
    value = found[1] if found else ""
    said, text = suggestions.no_class(value) if value.startswith("{") else ("", "")
    if text:
        return Fault(f"{'.'.join(keys)}: {said}", keys, text)
    if unset := re.match(r"NestedArg\(key='([^']+)'", value):
        name = ".".join(keys)
        return Fault(
            f"{name}: there is no class yet that has '{unset[1]}'; choose one first, "
            f"as in --{name} CLASS",
            keys,
            unset[1],
        )
    got = f", got {_shortened(value)}" if found else ""
    sentence = " or ".join(dict.fromkeys(expected)).replace(" or expected", " or") + got
    if sentence.startswith("expected dict"):
        shown = suggestions.mapping(message)
        sentence = sentence.replace("dict", f"a mapping such as {shown}", 1)
    return Fault(": ".join(filter(None, [".".join(keys), sentence])), keys, value)


def _reason(rejection: Rejection, parser: ArgumentParser, words: Sequence[str]) -> Fault:
    """Returns the fault that a reason tells of; what is "expected" is without the path to it."""
    keys, owner = rejection.keys, rejection.owner
    start = ".".join(keys)
    if said := _not_importable(rejection.reason, _hint(rejection, parser)):
        given = re.search(r"Got value: ([\w.]+)$", rejection.reason)
        return Fault(f"{start}: {said}", keys, given[1] if given else "")
    reason = re.sub(r"\.? Got value: .*", "", rejection.reason)
    for start_of_reason, (said, text) in MALFORMED.items():
        if reason.startswith(start_of_reason):
            return Fault(f"{start}: {said}", keys, text)
    if reason.startswith("Dict must include a class_path and optionally init_args"):
        said, text = suggestions.no_class(reason)
        return Fault(f"{start}: {said}", keys, text)
    if found := re.match(r"Expected an? (?:<class '(\w+)'>|typing\.Literal\[(.*)\])", reason):
        return Fault("expected " + (found[1] or f"one of {found[2]}"), keys)
    if found := re.match(r"Not a valid subclass of (\w+)", reason):
        names = ", ".join(suggestions.class_names(_hint(rejection, parser)))
        return Fault(f"expected {found[1]}" + (f" ({names})" if names else ""), keys)
    if found := re.match(r"Option '([^']+)' is not accepted", reason):
        name = found[1].partition(".")[0]
        dashes = "" if places.find(words, keys, name) else "--"
        inner = re.search(rf"\b{name}=Namespace\(class_path='([^']+)'", rejection.reason)
        if inner and (said := suggestions.other_owner(name, owner, inner[1])):
            return Fault(f"{start}: {said}", keys, name)
        said = suggestions.unknown_option_of_class(name, owner, start, parser, words, dashes)
        return Fault(said, keys, name)
    if found := re.match(r"the following arguments are required: (.*)", reason):
        said = suggestions.missing_options(found[1].split(", "), owner, start)
        return Fault(f"{start}: {said}", keys, owner.rpartition(".")[2])
    if found := re.match(rf"(\S+) (?:{'|'.join(REFUSED)})", reason):
        known = suggestions.class_names(_hint(rejection, parser))
        choices = f"; choose from {', '.join(known)}" if NO_FACTORY in reason and known else ""
        hidden = class_paths.hidden(found[1].rpartition(".")[0]) if STANDARD in reason else ""
        return Fault(f"{start}: {hidden or reason}{choices}", keys, found[1])
    if found := re.match(r"Expected a dot import path string: (.*)", reason):
        said = suggestions.unknown_class(found[1], _hint(rejection, parser))
        return Fault(f"{start}: {said}", keys, found[1])
    return Fault(": ".join(filter(None, [start, reason])), keys)


def _not_importable(reason: str, hint: Any) -> str:
    """Returns what is wrong with the path of a class, "" if something else is."""
    if found := re.match(r"No module named '([^']+)'", reason):
        return class_paths.no_module(found[1])
    if found := re.match(r"module '([^']+)' has no attribute '([^']+)'", reason):
        return class_paths.no_attribute(found[1], found[2])
    if found := re.match(r"Expected '(\S+)' to be .* <class '([\w.]+)'>", reason):
        kind = found[2].rpartition(".")[2]
    elif found := re.match(
        r"Import path (\S+) does not correspond to a subclass of (\w+)", reason
    ):
        kind = found[2]
    else:
        return ""
    names = ", ".join(suggestions.class_names(hint))
    others = f", or choose from {names}" if names else ""
    return f"{found[1]} is no {kind}; derive it from {kind}{others}"


def _hint(rejection: Rejection, parser: ArgumentParser) -> Any:
    """Returns the type of the rejected value, from the signature of its owner or the parser."""
    if rejection.owner:
        known = {known.name: known.annotation for known in parameters(rejection.owner)}
        return known.get(rejection.keys[-1])
    dest = ".".join(rejection.keys)
    return next((getattr(a, "_typehint", None) for a in parser._actions if a.dest == dest), None)


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
