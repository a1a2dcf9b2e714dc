"""Fixed numbers of a distribution, levels or edges, as a tensor that is made once."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # made in a validation step, it must serve training as well
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the values as a tensor, which is shared: do not write to it.

    Args:
        values: Plain numbers.
        dtype: Of the tensor.
        device: Where it lies; later calls copy nothing there.
    """
    return torch.tensor(values, dtype=dtype, device=device)
