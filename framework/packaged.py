"""Packaged models: one safetensors file with the parameters of a model and how it was built."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from components import data, supports
from framework.checkpoint_files import temporary_of
from framework.importing import import_path, imported
from framework.tensor_files import write_safetensors

SUFFIX = ".safetensors"
KEY = "overtone"  # of the description in the metadata of the file
NOTES = f"{KEY}_notes"  # there: of what else a checkpoint holds
ASIDE = f"{KEY}/"  # begins the names of tensors that are no parameters but belong to notes
LONG = 2**16  # characters of a text that is stored as one, since the metadata are limited
VERSION = "pytorch-lightning_version"  # a checkpoint has it, which says what it is
FACTS = (data.__name__, supports.__name__, "components")
"""Where the classes of specs are from: a file can build no others before its model is built."""


def shipped() -> dict[str, Path]:
    """Returns the models that come with Overtone, by name.

    They are the files in the folders `weights` of the slices; a card beside each says how it was
    made.
    """
    found = sorted(Path(__file__).parent.glob(f"*/*/weights/*{SUFFIX}"))
    return {path.stem: path for path in found}


def locate(path: str | Path) -> Path:
    """Returns the file of a shipped model for its name, unless there is a file of that name."""
    return Path(path) if Path(path).exists() else shipped().get(str(path), Path(path))


def write_packaged(
    path: Path,
    options: Mapping[str, Any],
    state: Mapping[str, Tensor],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model.

    Args:
        path: The file to write; it must not exist.
        options: The hyper-parameters of its checkpoint.
        state: Its parameters and buffers, by name.
        notes: What else its checkpoint holds that is to be kept, such as the tokenizer: plain
            data and tensors; tuples become lists.

    Raises:
        ValueError: If the file exists, or something is no plain data.
        OSError: If it cannot be written; nothing is left of it then.
    """
    if path.exists():
        raise ValueError(f"{path} exists already; choose another name, or delete it.")
    aside: dict[str, Tensor] = {}
    metadata = {KEY: _text(options, aside)} | ({NOTES: _text(notes, aside)} if notes else {})
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in {**state, **aside}.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(path)
    try:
        write_safetensors(temporary, tensors, metadata)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_packaged(path: Path) -> dict[str, Any]:
    """Reads a model as a checkpoint holds it.

    Args:
        path: The file.

    Raises:
        ValueError: If it is damaged, or was not written by `write_packaged`.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except SafetensorError as error:
        raise ValueError(
            f"The file {str(path)!r} is damaged or not a safetensors file; get it again."
        ) from error
    if KEY not in metadata:
        raise ValueError(
            f"The file {str(path)!r} does not say how its model was built; give one that "
            "`overtone export` wrote, or its whole directory to `overtone import`."
        )
    aside = {name: state.pop(name) for name in [*state] if name.startswith(ASIDE)}
    reader = _Reader(str(path), aside)
    notes = reader.built(json.loads(metadata.get(NOTES, "{}")))
    options = reader.built(json.loads(metadata[KEY]))
    model = {VERSION: version("lightning"), "hyper_parameters": options, "state_dict": state}
    return {**notes, **model}


def _text(value: Any, aside: dict[str, Tensor]) -> str:
    """Writes a value as JSON, but for tensors and long texts, which are put into `aside`.

    Raises:
        ValueError: If it holds more than plain data.
    """
    try:
        return json.dumps(_described(value, aside), allow_nan=True)
    except TypeError as error:
        raise ValueError(
            f"The checkpoint holds what a file *{SUFFIX} cannot ({error}); use the checkpoint."
        ) from error


def _described(value: Any, aside: dict[str, Tensor]) -> Any:
    """Turns specs and supports into class paths and options, wherever they are nested."""
    if is_dataclass(value) and not isinstance(value, type):
        items = {field.name: getattr(value, field.name) for field in fields(value)}
        options = {name: _described(item, aside) for name, item in items.items()}
        return {"fact": import_path(type(value)), "options": options}
    if isinstance(value, Mapping):
        return {str(name): _described(item, aside) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_described(item, aside) for item in value]
    is_long = isinstance(value, str) and len(value) > LONG
    if not (is_long or isinstance(value, Tensor)):
        return value
    name = f"{ASIDE}{len(aside)}"
    encoded = bytearray(value.encode()) if isinstance(value, str) else None
    aside[name] = value if encoded is None else torch.frombuffer(encoded, dtype=torch.uint8)
    return {"aside": name, "text": is_long}


class _Reader:
    """Undoes `_described`.

    Args:
        path: The file, for messages.
        aside: Its tensors that are no parameters.
    """

    def __init__(self, path: str, aside: Mapping[str, Tensor]) -> None:
        self.path, self.aside = path, aside

    def built(self, value: Any, within: bool = False) -> Any:
        """Returns a value; `within` a fact lists are tuples."""
        if isinstance(value, list):
            items = [self.built(item, within) for item in value]
            return tuple(items) if within else items
        if not isinstance(value, Mapping):
            return value
        if value.keys() == {"fact", "options"}:
            options = {name: self.built(x, within=True) for name, x in value["options"].items()}
            return self._fact(str(value["fact"]))(**options)
        if value.keys() == {"aside", "text"}:
            held = self._tensor(str(value["aside"]))
            return held.numpy().tobytes().decode() if value["text"] else held
        return {name: self.built(item) for name, item in value.items()}

    def _tensor(self, name: str) -> Tensor:
        if name not in self.aside:
            raise ValueError(f"The file {self.path!r} lacks its part {name}; get it again.")
        return self.aside[name]

    def _fact(self, name: str) -> Any:
        if name.rpartition(".")[0] not in FACTS or not is_dataclass(found := imported(name)):
            raise ValueError(
                f"The file {self.path!r} asks for {name}, which is no fact of data; it was not "
                "written by Overtone."
            )
        return found
