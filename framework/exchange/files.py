"""Directories of published models: a configuration, and tensors in one file or in several."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from framework.checkpoint_files import TEMPORARY, remove
from framework.tensor_files import write_pickled, write_safetensors

INDEX = ".index.json"  # suffix of a file that lists the shards
LAYOUTS = (  # a file of tensors and its configuration
    ("model.pt", "config.yaml"),
    ("model.safetensors", "config.json"),
    ("model.safetensors", "config.yaml"),
    ("model.safetensors" + INDEX, "config.json"),
    ("pytorch_model.bin", "config.json"),
    ("pytorch_model.bin" + INDEX, "config.json"),
)
COMPANIONS = (  # what may lie beside a model and goes along with it
    *("README.md", "LICENSE", "LICENSE.txt", "NOTICE", "generation_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "chat_template.json"),
)
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*" + INDEX)  # files of tensors, and their lists
BINARIES = ("tokenizer.model", "spiece.model")  # of sentencepiece


@dataclass(frozen=True)
class Published:
    """The contents of a directory of a published model.

    Args:
        config: Name of the configuration.
        texts: Text files by name: the configuration, the index of shards if there is one, and
            what goes along with the model.
        files: Tensors by name, in the order of each file.
        metadata: Metadata of each safetensors file.
        binaries: Other files by name, the bytes of each as a tensor.
    """

    config: str
    texts: dict[str, str]
    files: dict[str, dict[str, Tensor]]
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    binaries: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors of all files, by name."""
        return {name: tensor for held in self.files.values() for name, tensor in held.items()}

    def write(self, folder: Path) -> None:
        """Writes the files into a folder, which is created if missing, once all are complete.

        Raises:
            ValueError: If the folder holds a published model, tensors of one that was not
                completed, or one of the files already.
            OSError: If they cannot be written; the folder is as it was then.
        """
        self._require_free(folder)
        is_new = not folder.exists()
        remove(temporary := folder / TEMPORARY)  # which a process that was killed has left
        temporary.mkdir(parents=True)
        try:
            self._write(temporary)
            for name in (*self.binaries, *self.files, *self.texts):
                os.replace(temporary / name, folder / name)
            remove(temporary)
        except BaseException:
            remove(folder if is_new else temporary)
            raise

    def _require_free(self, folder: Path) -> None:
        layouts = (name for pair in LAYOUTS for name in pair)
        names = (*layouts, *self.files, *self.texts, *self.binaries)
        weights = (path.name for pattern in WEIGHTS for path in folder.glob(pattern))
        if taken := [name for name in (*names, *weights) if (folder / name).exists()]:
            raise ValueError(f"{folder} holds a {taken[0]} already; choose another directory.")

    def _write(self, folder: Path) -> None:
        for name, tensors in self.files.items():
            if name.endswith(".safetensors"):
                write_safetensors(folder / name, tensors, self.metadata.get(name))
            else:
                write_pickled(folder / name, tensors)
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        for name, content in self.binaries.items():
            (folder / name).write_bytes(content.numpy().tobytes())


def read(folder: Path) -> Published:
    """Reads a directory, without running any code in it.

    Args:
        folder: The directory.

    Raises:
        ValueError: If a file is missing, damaged, or holds more than tensors.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no directory {str(folder)!r}; check the path.")
    weights, config = _layout(folder)
    present = [name for name in COMPANIONS if (folder / name).is_file()]
    texts = {name: _text(folder / name) for name in (config, *present)}
    names = [weights]
    if weights.endswith(INDEX):
        texts[weights] = _text(folder / weights)
        names = _shards(folder / weights, texts[weights])
    files, metadata = {}, {}
    for name in names:
        if name.endswith(".safetensors"):
            files[name], metadata[name] = _safetensors(folder / name)
        else:
            files[name] = _pickled(folder / name)
    binaries = {name: _bytes(folder / name) for name in BINARIES if (folder / name).is_file()}
    return Published(config, texts, files, metadata, binaries)


def parse(path: Path | str, text: str) -> dict[str, Any]:
    """Parses a configuration or index: JSON or YAML, by the name of its file.

    Raises:
        ValueError: If it is damaged or not a mapping.
    """
    try:
        value = json.loads(text) if str(path).endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged ({reason}); get it again.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no keys and values; get it again.")
    return value


def _layout(folder: Path) -> tuple[str, str]:
    """Finds the file of tensors and the configuration."""
    present = [pair for pair in LAYOUTS if (folder / pair[0]).is_file()]
    if not present:
        names = ", ".join(dict.fromkeys(weights for weights, _ in LAYOUTS))
        raise ValueError(
            f"{folder} holds no published model; one has a file of tensors, one of {names}."
        )
    for weights, config in present:
        if (folder / config).is_file():
            return weights, config
    weights, config = present[0]
    raise ValueError(f"{folder} holds {weights}, but no {config} beside it; put it there.")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text; get it again.") from error


def _bytes(path: Path) -> Tensor:
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)


def _shards(path: Path, text: str) -> list[str]:
    """Returns the files that an index lists, in its order."""
    listed = parse(path, text).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise ValueError(f"{path} lists no files under weight_map; get it again.")
    names = list(dict.fromkeys(str(name) for name in listed.values()))
    for name in names:
        if Path(name).name != name or not (path.parent / name).is_file():
            raise ValueError(f"{path} names the file {name!r}, which is not beside it; get it.")
    return names


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        held = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or holds objects that are no tensors, which are never loaded; "
            "get it again."
        ) from error
    if not isinstance(held, Mapping) or not all(isinstance(x, Tensor) for x in held.values()):
        raise ValueError(f"{path} does not hold tensors by name; save the state dict alone.")
    return {str(name): tensor.detach() for name, tensor in held.items()}


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); get it again.") from error
