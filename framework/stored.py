"""Reads the parameters of a checkpoint of ours, from one file or from shards."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from framework.checkpoints import PREFIX, read


def stored(path: Path) -> dict[str, Tensor]:
    """Returns parameters and buffers by name; this process reads all of them.

    Args:
        path: The checkpoint: a file, or a folder of shards, whose list is a trusted pickle.

    Raises:
        ValueError: If it cannot be read.
    """
    held = read(path)
    if path.is_file():
        state: dict[str, Tensor] = held["state_dict"]
        return state
    reader = FileSystemReader(path)
    shards = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in reader.read_metadata().state_dict_metadata.items()
        if name.startswith(PREFIX) and isinstance(entry, TensorStorageMetadata)
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # on purpose
        load(dict(shards), storage_reader=reader, no_dist=True)
    return {name.removeprefix(PREFIX): tensor for name, tensor in shards.items()}
