"""Reads checkpoints that are folders of shards, without running code in their pickles.

The list of such a folder, `.metadata`, is a pickle, and so is each number of an optimizer in its
shards; torch reads both without restrictions.
"""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path, PurePath
from typing import Any

import torch
from torch.distributed.checkpoint._traverse import set_element
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, _StorageInfo
from torch.distributed.checkpoint.metadata import (
    _MEM_FORMAT_ENCODING,
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import ReadItem
from torch.distributed.checkpoint.state_dict_loader import load
from torch.serialization import _get_layout

LISTED: tuple[Any, ...] = (  # what torch writes into a list, besides numbers and texts
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
    _MEM_FORMAT_ENCODING,
    _StorageInfo,
    _get_layout,
    torch.Size,
)
NAMES = {(kind.__module__, kind.__qualname__): kind for kind in LISTED}
PATHS = "pathlib"  # where the folder was written, of which nothing is read


class ShardReader(FileSystemReader):
    """Reads a folder of shards whose list holds nothing but what torch writes there."""

    def read_metadata(self, *args: Any, **options: Any) -> Metadata:
        """Reads the list.

        Raises:
            ValueError: If it is damaged, or holds anything else.
        """
        path = self._get_metadata_path(options.get("rank"))
        try:
            with self.fs.create_stream(path, "rb") as stream:
                listed = _List(stream).load()
        except FileNotFoundError:
            raise ValueError(
                f"There is no list {str(path)!r}: the folder is no checkpoint, or its writing was "
                "interrupted; use an earlier one."
            ) from None
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"The list {str(path)!r} of a checkpoint cannot be read ({error}); it was not "
                "written by torch, and nothing in it was run: use another checkpoint."
            ) from error
        except (EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The list {str(path)!r} of a checkpoint is damaged; use an earlier one."
            ) from error
        if not isinstance(listed, Metadata):
            raise ValueError(f"The file {str(path)!r} is not the list of a checkpoint.")
        listed.storage_meta = listed.storage_meta or StorageMeta()
        listed.storage_meta.load_id = self.load_id
        return listed


class DataPlanner(DefaultLoadPlanner):
    """Plans as torch does, and reads the values in shards that are no tensors as plain data."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Reads a value, such as a learning rate.

        Raises:
            ValueError: If it is more than plain data.
        """
        try:
            plain = torch.load(value, weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"The value {read_item.dest_index.fqn!r} in a folder of shards is more than plain "
                "data, and nothing in it was run; use another checkpoint."
            ) from error
        again = io.BytesIO()
        torch.save(plain, again)
        again.seek(0)
        super().load_bytes(read_item, again)


def load_shards(state: dict[str, Any], path: Path, no_dist: bool = False) -> None:
    """Loads what a state names from a folder of shards, in place.

    Args:
        state: Tensors by name, in nested dictionaries.
        path: The folder.
        no_dist: Whether this process reads alone.

    Raises:
        ValueError: If the folder holds more than data.
    """
    try:
        load(state, storage_reader=ShardReader(path), planner=DataPlanner(), no_dist=no_dist)
    except CheckpointException as error:  # no Exception; it holds those of all ranks
        failure, _ = next(iter(error.failures.values()))
        raise failure from None


def whole_state(path: Path, prefix: str = "") -> dict[str, Any]:
    """Returns what a folder of shards holds, unsharded and nested as it was saved.

    Args:
        path: The folder.
        prefix: How names begin that are read, with a dot between levels; all by default.

    Raises:
        ValueError: If the folder holds more than data.
    """
    listed = ShardReader(path).read_metadata()
    state: dict[str, Any] = {}
    for name, entry in listed.state_dict_metadata.items():
        if name.startswith(prefix):
            value: Any = entry
            if isinstance(entry, TensorStorageMetadata):
                value = torch.empty(entry.size, dtype=entry.properties.dtype)
            set_element(state, listed.planner_data[name], value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # on purpose
        load_shards(state, path, no_dist=True)
    return state


def shard_lengths(path: Path) -> dict[str, int]:
    """Returns the least length in bytes of each file of a folder of shards, as its list says.

    Args:
        path: The folder.

    Raises:
        ValueError: If the list is damaged, or holds more than torch writes there.
    """
    lengths: dict[str, int] = {}
    for stored in ShardReader(path).read_metadata().storage_data.values():
        end = stored.offset + stored.length
        lengths[stored.relative_path] = max(end, lengths.get(stored.relative_path, 0))
    return lengths


class _List(pickle.Unpickler):
    """Unpickles a list of shards."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in NAMES:
            return NAMES[module, name]
        if module == torch.__name__ and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module.partition(".")[0] == PATHS and name.endswith("Path"):
            return PurePath
        raise pickle.UnpicklingError(f"it holds {module}.{name}")
