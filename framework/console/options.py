"""Options of a command line, also those inside the classes that its recipes choose."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentParser
from jsonargparse._parameter_resolvers import ParamData

from framework.importing import located
from framework.signatures import parameters as parameters_of

WIRED = ("dim", "spec", "support")  # constructor arguments that code passes, not recipes
TRANSPARENT = ("init_args", "dict_kwargs")  # keys of a recipe that option names leave out
MAPPINGS = (dict, Mapping)


class Option(NamedTuple):
    """An option by its full name, as in `model.head.frequencies`."""

    name: str
    hint: Any  # its type, None where the parser knows none
    sentence: str  # its help


def known(parser: ArgumentParser, words: Sequence[str]) -> Iterator[Option]:
    """Yields the options of a parser, and those of the classes that are chosen.

    Args:
        parser: The parser of the verb.
        words: Words of the command line, recipes by path.
    """
    chosen = dict(choices_of(words))
    for action in parser._actions:
        names = [text.lstrip("-") for text in action.option_strings if text.startswith("--")]
        for name in names:
            if not name.endswith(".help"):
                hint = getattr(action, "_typehint", None)
                yield Option(name, hint, action.help or "")
                yield from _inside(name, hint, chosen)


def _inside(
    name: str, hint: Any, chosen: Mapping[str, str], default: Any = None
) -> Iterator[Option]:
    """Yields the options of the class that is chosen for an option, and of those inside it."""
    held = [get_args(one)[1] for one in (hint, *get_args(hint)) if get_origin(one) in MAPPINGS]
    if held:
        below = [other for other in chosen if other.startswith(f"{name}.")]
        for key in sorted({other.removeprefix(f"{name}.").partition(".")[0] for other in below}):
            yield from _inside(f"{name}.{key}", held[0], chosen)
        return
    owner = class_of(hint, chosen[name]) if name in chosen else _default_class(hint, default)
    for parameter in parameters(owner) if owner else ():
        if parameter.name not in WIRED:
            inner = f"{name}.{parameter.name}"
            yield Option(inner, parameter.annotation, parameter.doc or "")
            yield from _inside(inner, parameter.annotation, chosen, parameter.default)


def choices_of(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields names and values of all options that are given as text, later ones last.

    Args:
        words: Words of the command line, recipes by path.
    """
    for name, value in given(words):
        if name in ("c", "config"):
            yield from _texts(loaded(value), ())
        else:
            yield short(name), value


def given(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the flags of a command line without dashes, and their values, "" if there is none."""
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        if word.startswith("-") and "=" in word:
            name, _, value = word.partition("=")
            yield name.lstrip("-"), value
        elif word.startswith("-"):
            yield word.lstrip("-"), "" if following.startswith("--") else following


def short(name: str) -> str:
    """Returns a name as one writes it: `model.init_args.losses+` is `model.losses`."""
    return ".".join(part for part in name.rstrip("+").split(".") if part not in TRANSPARENT)


def parameters(owner: str | type) -> list[ParamData]:
    """Returns the arguments of a constructor, with those that it passes to its bases."""
    found = located(owner) if isinstance(owner, str) else owner
    return parameters_of(found, "__init__") if inspect.isclass(found) else []


def classes(hint: Any) -> Iterator[type]:
    """Yields the classes that a type admits; of a factory, those that it makes.

    A protocol that is no factory admits what no list can tell; a type of Python's, such as a
    path or a duration, is given as a value.
    """
    if getattr(hint, "_is_protocol", False):
        yield from classes(get_type_hints(hint.__call__).get("return"))
    elif inspect.isclass(hint) and not get_args(hint):
        if hint.__module__.partition(".")[0] not in sys.stdlib_module_names:
            yield from concrete(hint)
    else:
        for inner in get_args(hint):
            if not isinstance(inner, list):  # the arguments of a Callable
                yield from classes(inner)


def class_of(hint: Any, path: str) -> type | None:
    """Returns the class of a type that has a name, short or with its module."""
    module, _, name = path.rpartition(".")
    same = [found for found in classes(hint) if found.__name__ == name]
    return next((found for found in same if found.__module__ == module), next(iter(same), None))


def first_sentence(found: type) -> str:
    """Returns the first sentence of the docstring of a class."""
    text = " ".join((found.__doc__ or "").strip().partition("\n\n")[0].split())
    return text.partition(". ")[0].removesuffix(".")


def concrete(base: type) -> Iterator[type]:
    """Yields a class and those derived from it, but for abstract, private and unnamed ones.

    Unnamed is a class that no module holds: FSDP2 makes one for each class that it shards.
    """
    named = getattr(sys.modules.get(base.__module__), base.__qualname__, None) is base
    if named and not inspect.isabstract(base) and not base.__name__.startswith("_"):
        yield base
    derived: type
    for derived in base.__subclasses__():
        yield from concrete(derived)


def _default_class(hint: Any, default: Any) -> type | None:
    """Returns the class that is built where a recipe chooses none."""
    made = default if inspect.isclass(default) else type(default)
    return made if made in set(classes(hint)) else None


def _texts(node: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield ".".join(keys), node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            transparent = key in TRANSPARENT or key == "class_path"
            yield from _texts(value, keys if transparent else (*keys, str(key)))


def loaded(path: str) -> Any:
    """Returns the contents of a recipe, None if there is no such file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8")) if Path(path).is_file() else None
