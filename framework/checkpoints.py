"""Reads checkpoint files, validates them, and finds the recipe saved beside them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from framework.checksums import is_intact, is_part_intact
from framework.packaged import SUFFIX, locate, read_packaged, shipped
from framework.shards import ShardReader, shard_lengths, whole_state

S = TypeVar("S")
PREFIX = "state_dict."  # of the names of parameters in a folder of shards
NTH = "optimizer_"  # there, of the state of each optimizer
PARTS = ("stem", "backbone", "head")
SHARDED = "meta.pt"  # in a folder of shards: all but the parameters
SHARDS = ".metadata"  # there: which of them holds what
NOTE = "recipe"  # where a checkpoint notes the name of the configuration that was saved with it


class DamagedCheckpoint(ValueError):
    """A checkpoint that does not hold what was written."""


def read(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint file without running any code in it; tensors stay there until used.

    Args:
        path: The file, or the folder of a sharded checkpoint: then all but the parameters is read,
            and only what is read is checked (`require_intact` checks all of it); or the name of a
            model that comes with Overtone.

    Raises:
        ValueError: If there is no such file, it is damaged, it is no checkpoint, or it holds more
            than data.
    """
    try:
        return _read(path)
    except DamagedCheckpoint as error:
        raise DamagedCheckpoint(f"{error}; {_advice(Path(path))}") from error


def require_intact(path: str | Path) -> None:
    """Checks a file or a folder of shards by its checksums, if it has some.

    All of its files are read, by this process alone.

    Raises:
        ValueError: If it is damaged.
    """
    if not is_intact(Path(path)):
        raise DamagedCheckpoint(damage_of(Path(path)))


def damage_of(path: Path) -> str:
    """Returns what an error says of a damaged checkpoint: that it is, and which one to use."""
    return f"{_damaged(path)}; {_advice(path)}"


def _damaged(path: str | Path) -> str:
    return f"The checkpoint {str(path)!r} is damaged, its checksum says"


def of_run(folder: Path) -> list[Path]:
    """Returns the checkpoints with which a run in a folder can go on, the newest first.

    Args:
        folder: The folder that a run writes its checkpoints into.
    """
    names = [*folder.glob("step=*.ckpt"), *folder.glob("last*.ckpt")]
    files = {path.resolve(): path for path in names if path.exists()}  # a link and its file: once
    return sorted(files.values(), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def is_usable(path: Path) -> bool:
    """Returns whether a checkpoint is whole."""
    if path.is_dir() and not all((path / name).is_file() for name in (SHARDED, SHARDS)):
        return False
    try:
        _read(path)
    except DamagedCheckpoint:
        return False
    except ValueError:  # it is no damage that it does not suit, which whoever uses it says
        return True
    return is_intact(path)


def is_complete(path: Path) -> bool:
    """Returns whether a checkpoint is whole, or of a folder, whether no byte of it is missing.

    Of a folder the small files are read alone, as each of many processes asks: the content of the
    shards is checked by those who load them, each a part.
    """
    if not path.is_dir():
        return is_usable(path)
    if not all((path / name).is_file() for name in (SHARDED, SHARDS)):
        return False
    try:
        _read(path)
        if not is_part_intact(path, SHARDS):
            return False
        lengths = shard_lengths(path)
    except DamagedCheckpoint:
        return False
    except ValueError:  # as in `is_usable`
        return True
    files = [(path / name, length) for name, length in lengths.items()]
    return all(file.is_file() and file.stat().st_size >= length for file, length in files)


def _advice(damaged: Path) -> str:
    others = (path for path in of_run(damaged.parent) if path.resolve() != damaged.resolve())
    earlier = next(filter(is_usable, others), None)
    return f"use {str(earlier)!r}, which is whole." if earlier else "use an earlier one."


def _read(path: str | Path) -> dict[str, Any]:
    file = locate(path)
    if file.suffix == SUFFIX and file.is_file():
        return read_packaged(file)
    is_folder = file.is_dir()
    if is_folder:
        file = file / SHARDED
    if not file.is_file():
        names = ", ".join(shipped())
        named = f", or name a model that comes with Overtone ({names})" if names else ""
        raise ValueError(f"There is no checkpoint {str(path)!r}; check the path{named}.")
    if not (is_part_intact(file.parent, SHARDED) if is_folder else is_intact(file)):
        raise DamagedCheckpoint(_damaged(path))
    try:
        checkpoint: dict[str, Any] = torch.load(
            file, map_location="cpu", weights_only=True, mmap=True
        )
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"The checkpoint {str(path)!r} holds objects that are not plain data; "
            "use one that was saved by Overtone."
        ) from error
    except Exception as error:  # whatever the reader of pickles does with bytes of another format
        raise DamagedCheckpoint(
            f"The checkpoint {str(path)!r} is damaged (perhaps its writing was interrupted) or "
            "not a checkpoint"
        ) from error
    if not isinstance(checkpoint, dict) or "pytorch-lightning_version" not in checkpoint:
        raise ValueError(
            f"The file {str(path)!r} is not the checkpoint of a run; "
            "use one that was saved by Overtone."
        )
    return checkpoint


def recipe_of(path: str) -> Path:
    """Finds the configuration that was saved with a checkpoint.

    Args:
        path: The checkpoint, a file or a folder of shards.

    Raises:
        ValueError: If the checkpoint cannot be read, or no configuration lies beside it.
    """
    name = str(read(path).get(NOTE, "config.yaml"))
    for folder in (Path(path).parent, Path(path).parent.parent):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(
        f"No recipe was saved beside the checkpoint {path!r}; say with --config which one made it."
    )


def part_classes(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names of the classes of stem, backbone and head, as far as a checkpoint says.

    Args:
        checkpoint: What `read` returns.
    """
    options = checkpoint.get("hyper_parameters", {})
    return {part: name for part in PARTS if (name := class_name(options.get(part)))}


def class_name(described: Any) -> str:
    """Returns the name of a class of a recipe without its path, "" if it names none."""
    return described["class_path"].rpartition(".")[2] if isinstance(described, Mapping) else ""


def digest(path: Path) -> str:
    """Returns the sha256 of a checkpoint: of the file, or of all files of a folder in order."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    if len(files) == 1:
        with files[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("".join(map(digest, files)).encode()).hexdigest()


def parameters(path: Path) -> Mapping[str, Tensor]:
    """Returns the parameters and buffers in a checkpoint by name; of shards, only their shapes.

    Args:
        path: The file, or the folder of a sharded checkpoint.

    Raises:
        ValueError: If a file cannot be used.
    """
    if not path.is_dir():
        state: dict[str, Tensor] = read(path)["state_dict"]
        return state
    listed = ShardReader(path).read_metadata().state_dict_metadata
    return {
        name.removeprefix(PREFIX): torch.empty(entry.size, device="meta")
        for name, entry in listed.items()
        if name.startswith(PREFIX) and isinstance(entry, TensorStorageMetadata)
    }


def load_parameters(path: Path) -> dict[str, Tensor]:
    """Returns all parameters and buffers by name, unsharded.

    Args:
        path: The checkpoint: a file, or a folder of shards.

    Raises:
        ValueError: If it cannot be read.
    """
    if not path.is_dir():
        state: dict[str, Tensor] = read(path)["state_dict"]
        return state
    require_intact(path)
    whole: dict[str, Tensor] = whole_state(path, PREFIX).get("state_dict", {})
    return whole


def joined(folder: Path) -> dict[str, Any]:
    """Returns all that a folder of shards holds, as one file of the same run would hold it.

    Args:
        folder: The folder.

    Raises:
        ValueError: If it cannot be read.
    """
    checkpoint = read(folder)
    require_intact(folder)
    state = whole_state(folder)
    parameters = state.pop("state_dict")
    optimizers = [state[name] for name in sorted(state, key=lambda name: int(name[len(NTH) :]))]
    return {**checkpoint, "state_dict": parameters, "optimizer_states": optimizers}


def compare(owner: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Checks that a state dict fits.

    Args:
        owner: Name of the module that loads them, for the message.
        expected: Parameters and buffers of the model, by name.
        found: Those of the checkpoint.

    Raises:
        ValueError: If names or shapes differ.
    """
    faults = [f"{name} is missing there" for name in expected if name not in found]
    faults += [f"{name} is unknown here" for name in found if name not in expected]
    faults += [
        f"{name} is {list(found[name].shape)} there and {list(value.shape)} here"
        for name, value in expected.items()
        if name in found and hasattr(value, "shape") and found[name].shape != value.shape
    ]
    if faults:
        more = f" (and {len(faults) - 1} more differences)" if len(faults) > 1 else ""
        raise ValueError(
            f"{owner}: the checkpoint is of another architecture: {faults[0]}{more}; "
            "use the configuration that was saved beside it."
        )


def require_no_nan(owner: str, found: Mapping[str, Any]) -> None:
    """Refuses parameters that are NaN; shards are looked at by the strategy that loads them.

    Args:
        owner: What they are for, as in the error message.
        found: Parameters by name.

    Raises:
        ValueError: If there is one; it says where, and how many of its values are.
    """
    for name, values in found.items():
        if type(values) in (Tensor, nn.Parameter) and (wrong := int(values.isnan().sum())):
            raise not_a_number(owner, f"{wrong:,} of the {values.numel():,}", name)


def not_a_number(owner: str, how_many: str, name: str) -> ValueError:
    """Returns the error that so many values of a parameter are NaN."""
    return ValueError(
        f"{owner}: {how_many} values of {name!r} in the checkpoint are NaN, as when training has "
        "diverged; use an earlier one."
    )


def trained_spec(checkpoint: Mapping[str, Any], kind: type[S]) -> S | None:
    """Returns the facts of the data that a checkpoint was trained on; None if of another kind."""
    spec = checkpoint.get("hyper_parameters", {}).get("spec")
    return spec if isinstance(spec, kind) else None
