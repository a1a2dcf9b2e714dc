"""JSON schemas of recipes and studies, by which editors complete, check and explain them."""

from __future__ import annotations

import inspect
import json
import sys
from collections import abc
from collections.abc import Sequence, Set
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jsonargparse import ArgumentParser
from jsonargparse._parameter_resolvers import ParamData
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from framework.console import options
from framework.console.command import Command
from framework.studies.verbs.study import study_parser

Schema = dict[str, Any]
"""A part of a JSON schema."""

VERSION = "https://json-schema.org/draft/2020-12/schema"
RECIPE, STUDY = "Recipe of Overtone", "Study of Overtone"  # titles
INTERPOLATION = r"\$\{.*\}"
PATH = r"[./\\]"  # what names of modules and of files have, and short names do not
SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
ARRAYS = (list, tuple, set, abc.Sequence, abc.Iterable, abc.Collection)
MAPPINGS = (dict, abc.Mapping)
LIBRARIES = ("torch", "lightning", "jsonargparse", *sys.stdlib_module_names)
OURS = ("components", "framework")
NAMED = (Callback, Logger, LRScheduler, Optimizer, Profiler, Strategy)  # of libraries
LINKED = "spec"  # the option of a module that the data set
OF_THE_COMMAND_LINE = ("config", "print_config", "help")  # which no recipe has
APPENDED: Schema = {"\\+$": {}}  # `callbacks+` appends to a list of an earlier file


class _Built(Exception):
    """Ends the construction of a command once its parser is complete."""

    def __init__(self, parser: ArgumentParser) -> None:
        self.parser = parser


class _FitParser(Command):
    """Builds the parser of training, and stops."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Hands the parser on."""
        raise _Built(self._subcommand_parsers["fit"])


def recipe_schema() -> Schema:
    """Returns the schema of recipes, with all parts that are imported."""
    return _of_parser(_fit_parser(), RECIPE)


def study_schema() -> Schema:
    """Returns the schema of the files of studies, with all of these that are imported."""
    return {**_of_parser(study_parser(), STUDY), "required": ["study"]}


def _of_parser(parser: ArgumentParser, title: str) -> Schema:
    """Returns the schema of files that set the options of a parser."""
    writer = _Writer()
    fields: dict[str, Any] = {}
    for action in parser._actions:
        for flag in action.option_strings:
            name = flag.removeprefix("--")
            if flag.startswith("--") and name.partition(".")[0] not in OF_THE_COMMAND_LINE:
                _place(fields, name.split("."), writer.option(action))
    root = _object(fields)
    return {"$schema": VERSION, "title": title, **root, "$defs": writer.definitions}


def _fit_parser() -> ArgumentParser:
    try:
        _FitParser(["fit"], "schema", "overtone")
    except _Built as built:
        return built.parser
    raise AssertionError("a command parses its arguments")


def _place(fields: dict[str, Any], names: Sequence[str], schema: Schema) -> None:
    """Puts the schema of an option where its full name says: groups are objects."""
    first, *rest = names
    if not rest:
        fields.setdefault(first, {}).update(schema)
        return
    if first == "help" or rest == ["help"]:
        return
    group = fields.setdefault(first, {})
    for key, value in _object({}).items():
        group.setdefault(key, value)
    _place(group["properties"], rest, schema)


def _object(properties: dict[str, Any], description: str = "") -> Schema:
    said = {"description": description} if description else {}
    closed = {"additionalProperties": False, "patternProperties": APPENDED}
    return {"type": "object", **said, "properties": properties, **closed}


class _Writer:
    """Writes the schemas of types; those of classes become definitions, each once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def option(self, action: Any) -> Schema:
        """Returns the schema of an option of the parser."""
        hint = getattr(action, "_typehint", None) or getattr(action, "type", None)
        return _described(self.of(hint), action.help, action.default)

    def of(self, hint: Any) -> Schema:
        """Returns the schema of a type; what is not known admits everything."""
        if hint in SCALARS:
            return _scalar(SCALARS[hint])
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self.of(inner[0])
        if origin is Literal:
            return _choices([(value, "") for value in inner])
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(one) for one in inner]}
        if origin in MAPPINGS or hint in MAPPINGS:
            return {"type": "object", "additionalProperties": self.of(inner[1]) if inner else {}}
        if origin in ARRAYS or hint in ARRAYS:
            kept = [self.of(one) for one in inner if one is not Ellipsis]
            return {"type": "array", "items": {"anyOf": kept} if kept else {}}
        if inspect.isclass(hint) and issubclass(hint, Enum):
            return _choices([(member.name, "") for member in hint])
        return self._class(hint)

    def _class(self, hint: Any) -> Schema:
        """Returns the schema of a class or of a factory: a name, or a name with options."""
        made = list(dict.fromkeys(options.classes(hint)))
        if not made or Module in made or not all(map(_is_part, made)):
            return {}
        wired = _wired(hint)
        named = hint if inspect.isclass(hint) else made[0]
        name = f"{_key(named)}.any"
        if name not in self.definitions:
            self.definitions[name] = {}  # a class may take others of its own kind
            self.definitions[name] = self._choice(name, made, wired)
        return _reference(name)

    def _choice(self, key: str, made: Sequence[type], wired: Set[str]) -> Schema:
        """Returns the schema of one of some classes; an overlay may leave out which."""
        named = [(one.__name__, options.first_sentence(one)) for one in made]
        name = {"anyOf": [_choices(named), {"type": "string", "pattern": PATH}]}
        own = {one: self._definition(one, wired) for one in made}
        self.definitions[f"{key}.options"] = self._every(made)
        every = _reference(f"{key}.options")
        chosen = [
            {
                "if": {"properties": {"class_path": _names(one)}, "required": ["class_path"]},
                "then": {"properties": {"init_args": own[one]}},
            }
            for one in made
        ]
        fields: dict[str, Any] = {"class_path": name, "init_args": {}, "dict_kwargs": {}}
        whole = {**_object(fields), "required": ["class_path"], "allOf": chosen}
        inside = {**_object({"init_args": every}), "required": ["init_args"]}
        return {"anyOf": [name, whole, inside, every]}

    def _every(self, made: Sequence[type]) -> Schema:
        """Returns the schema of options of any of some classes."""
        found: dict[str, list[Schema]] = {}
        for key in map(_key, made):
            for name in self.definitions[key].get("properties", {}):
                found.setdefault(name, []).append(_reference(f"{key}/properties/{name}"))
        return _object({name: {"anyOf": each} for name, each in found.items()})

    def _definition(self, made: type, wired: Set[str]) -> Schema:
        """Returns a reference to the options of a class, without those that code passes."""
        if _key(made) not in self.definitions:
            self.definitions[_key(made)] = {}
            fields = {
                one.name: _described(self.of(one.annotation), one.doc, one.default)
                for one in _parameters(made)
                if one.name not in wired
            }
            self.definitions[_key(made)] = _object(fields, options.first_sentence(made))
        return _reference(_key(made))


def _key(made: type) -> str:
    return f"{made.__module__}.{made.__qualname__}"


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _wired(hint: Any) -> Set[str]:
    """Returns the names of the options that code passes to a factory, or links to a module."""
    made_by = inspect.signature(hint.__call__).parameters if _is_protocol(hint) else ()
    return {LINKED, *made_by}


def _is_protocol(hint: Any) -> bool:
    return bool(getattr(hint, "_is_protocol", False))


def _is_part(made: type) -> bool:
    """Whether a class is described: not those that no recipe names, such as groups of ranks."""
    package = made.__module__.partition(".")[0]
    return package not in LIBRARIES or package in OURS or issubclass(made, NAMED)


def _parameters(made: type) -> Sequence[ParamData]:
    try:
        return options.parameters(made)
    except ValueError:  # of torch, and written in C
        return []


def _scalar(kind: str) -> Schema:
    """Returns the schema of a number or text, which may also be an interpolation."""
    if kind in ("string", "null"):
        return {"type": kind}
    return {"type": [kind, "string"], "pattern": INTERPOLATION}


def _choices(values: Sequence[tuple[Any, str]]) -> Schema:
    """Returns the schema of closed choices, each with a sentence that editors show."""
    one = [{"const": value, **({"description": said} if said else {})} for value, said in values]
    return {"anyOf": one}


def _names(made: type) -> Schema:
    """Returns the schema of all names of a class, short or with a module."""
    return {"type": "string", "pattern": rf"^([\w.]+\.)?{made.__name__}$"}


def _described(schema: Schema, said: Any, default: Any) -> Schema:
    """Adds a sentence and a default, where they are plain."""
    text = " ".join(str(said or "").split())
    more: Schema = {"description": text} if text else {}
    if _is_json(default):
        more["default"] = default
    return {**schema, **more}


def _is_json(value: Any) -> bool:
    plain = (str, int, float, bool, NoneType)
    return isinstance(value, plain) and json.dumps(value) not in ("NaN", "Infinity", "-Infinity")
