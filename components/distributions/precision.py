"""The precision of distributions: float32 at least, whatever a network computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def to_float32(values: Tensor) -> Tensor:
    """Casts half and bfloat16 to float32; float32 and float64 stay as they are.

    Rare outcomes and normalizers over thousands of cells do not survive eight bits of mantissa.

    Args:
        values: Parameters of a distribution, of any floating dtype.

    Returns:
        The same values in float32 or float64.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def tiny(values: Tensor) -> float:
    """Returns the smallest normal number of a dtype: the least that a logarithm may see."""
    return torch.finfo(values.dtype).tiny


def unrounded(values: Tensor) -> AbstractContextManager[object]:
    """Makes a context in which autocast does not round matrix products of such values."""
    device = values.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
