"""Precision: in which type products are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def product_dtype(vectors: Tensor) -> torch.dtype:
    """Returns the type of a product with `vectors`: autocast decides, but leaves float64 alone."""
    device = vectors.device.type
    if torch.is_autocast_enabled(device) and vectors.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return vectors.dtype
