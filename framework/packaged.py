"""Packaged models: one safetensors file with the parameters of a model and how it was built."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from components import data, supports
from framework.checkpoint_files import temporary_of
from framework.importing import import_path, imported

SUFFIX = ".safetensors"
KEY = "overtone"  # of the description in the metadata of the file
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


def write_packaged(path: Path, options: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Writes a model.

    Args:
        path: The file to write; it must not exist.
        options: The hyper-parameters of its checkpoint.
        state: Its parameters and buffers, by name.

    Raises:
        ValueError: If the file exists.
    """
    if path.exists():
        raise ValueError(f"{path} exists already; choose another name, or delete it.")
    described = json.dumps(_described(options), allow_nan=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(path)
    save_file(tensors, temporary, {KEY: described})
    os.replace(temporary, path)


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
    options = _built(json.loads(metadata[KEY]), str(path))
    return {VERSION: version("lightning"), "hyper_parameters": options, "state_dict": state}


def _described(value: Any) -> Any:
    """Turns specs and supports into class paths and options, wherever they are nested."""
    if is_dataclass(value) and not isinstance(value, type):
        options = {field.name: _described(getattr(value, field.name)) for field in fields(value)}
        return {"fact": import_path(type(value)), "options": options}
    if isinstance(value, Mapping):
        return {str(name): _described(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_described(item) for item in value]
    return value


def _built(value: Any, path: str, within: bool = False) -> Any:
    """Undoes `_described`; `within` a fact lists are tuples."""
    if isinstance(value, list):
        items = [_built(item, path, within) for item in value]
        return tuple(items) if within else items
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"fact", "options"}:
        return _fact(str(value["fact"]), path)(
            **{name: _built(item, path, within=True) for name, item in value["options"].items()}
        )
    return {name: _built(item, path) for name, item in value.items()}


def _fact(name: str, path: str) -> Any:
    if name.rpartition(".")[0] not in FACTS or not is_dataclass(found := imported(name)):
        raise ValueError(
            f"The file {path!r} asks for {name}, which is no fact of data; it was not written by "
            "Overtone."
        )
    return found
