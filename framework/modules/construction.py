"""Descriptions of modules in plain data, from which a checkpoint rebuilds its module."""

from __future__ import annotations

import re
from abc import ABCMeta
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from inspect import isclass, isroutine
from typing import Any

from jsonargparse import ArgumentError
from jsonargparse._typehints import ActionTypeHint
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module

from framework.class_checks import checked
from framework.importing import foreign, import_path, imported
from framework.replacing import replaced

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
"""What Lightning calls to build a module from a description; it trusts this name."""


def describe(value: Any) -> Any:
    """Turns factories into class paths and options, and arrays into lists, wherever they are.

    Args:
        value: A class, a `functools.partial` of one, a dataclass of options, plain or one of those
            that an abstract class has, or plain data.

    Returns:
        What the command line would have stored: `{"class_path": ..., "init_args": {...}}`.

    Raises:
        ValueError: If a factory has no importable name (a lambda, a local function).

    Example:
        >>> describe({"optimizer": partial(dict, lr=0.1)})
        {'optimizer': {'class_path': 'builtins.dict', 'init_args': {'lr': 0.1}}}
    """
    match value:
        case partial():
            if value.args:
                raise ValueError(
                    f"The factory {value} has options without names; give them by keyword."
                )
            return {"class_path": import_path(value.func), "init_args": describe(value.keywords)}
        case Mapping():
            return {name: describe(item) for name, item in value.items()}
        case Namespace():  # what jsonargparse leaves in a dictionary that it has read
            return describe(vars(value))
        case list():
            return [describe(item) for item in value]
        case _ if is_dataclass(value) and not isclass(value):
            options = {field.name: describe(getattr(value, field.name)) for field in fields(value)}
            chosen = isinstance(type(value), ABCMeta)  # one of the classes that could stand there
            path = import_path(type(value))
            return {"class_path": path, "init_args": options} if chosen else options
        case _ if isclass(value) or isroutine(value):
            return {"class_path": import_path(value)}
        case _ if hasattr(
            value, "tolist"
        ):  # arrays and tensors; checkpoints are read without numpy
            return value.tolist()
        case _:
            return value


def describe_module(kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Describes a module as the command line would.

    Args:
        kind: Class of the module.
        options: Arguments of its constructor, factories or descriptions of them. The spec, a fact
            of the data, stays as it is.
    """
    described = {name: describe(value) for name, value in options.items() if name != "spec"}
    facts = {
        "_class_path": import_path(kind),
        "_instantiator": INSTANTIATOR,
        "spec": options["spec"],
    }
    return {**facts, **described}


def build_module(owner: str, options: Mapping[str, Any]) -> Any:
    """Builds the module of a checkpoint for evaluation; `configure_model` then builds its parts.

    Args:
        owner: Where the description is from, for the message.
        options: The hyper-parameters of the checkpoint.

    Raises:
        ValueError: If they hold no description of the module, or a class cannot be imported or
            is none that can stand where it does.
    """
    if "_class_path" not in options:
        raise ValueError(
            f"{owner} does not say how its model was built; use one that was saved by Overtone."
        )
    left_out = ("_instantiator", "execution")
    kept = {name: value for name, value in options.items() if name not in left_out}
    for path in (str(kept["_class_path"]), *_class_paths(kept)):
        imported(path)
    module = _instantiated(owner, {**kept, "initialization": None})
    module.on_load_checkpoint({module.CHECKPOINT_HYPER_PARAMS_KEY: kept})  # how it was built
    return module


def _instantiated(owner: str, options: Mapping[str, Any]) -> LightningModule:
    try:
        with foreign(), checked(), replaced((ActionTypeHint, "add_sub_defaults", _leave)):
            module: LightningModule = instantiate_module(LightningModule, dict(options))
    except ArgumentError as error:
        raise ValueError(
            f"{owner} describes no model that can be built ({_innermost(str(error))}); use one "
            "that was saved by Overtone."
        ) from error
    return module


def _leave(parser: Any, options: Any) -> None:
    """Leaves out defaults, which constructors have: to parse them takes most of the time."""


def _innermost(message: str) -> str:
    """Returns the reason in a message of jsonargparse, whose lines are indented by depth."""
    line = max(message.splitlines(), key=lambda line: len(line) - len(line.lstrip(" ")))
    return re.sub(r"^[ -]*(Type .* callable class: )?|\.? Got value: .*", "", line)


def _class_paths(described: Any) -> Iterator[str]:
    """Yields the paths of the classes in a description."""
    if isinstance(described, Mapping):
        if "class_path" in described:
            yield str(described["class_path"])
        for value in described.values():
            yield from _class_paths(value)
    elif isinstance(described, list | tuple):
        for value in described:
            yield from _class_paths(value)
