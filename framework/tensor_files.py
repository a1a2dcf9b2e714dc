"""Writes files of tensors: a full disk is an `OSError`, whichever library writes."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors, none of which share memory, as safetensors.

    Args:
        path: The file.
        tensors: What it is to hold, by name.
        metadata: Texts by name.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    except SafetensorError as error:
        if (number := re.search(r"os error (\d+)", str(error))) is None:
            raise
        reason = int(number[1])
        raise OSError(reason, os.strerror(reason), str(path)) from error


def write_pickled(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors by name as torch does; the content depends on the name of the file.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        torch.save(dict(tensors), path)
    except RuntimeError as error:
        if not re.search("inline_container|StreamWriter", str(error)):
            raise
        raise OSError(errno.EIO, "torch could not write all of it", str(path)) from error
