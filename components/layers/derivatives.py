"""Which layers may bring a derivative of their own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd import forward_ad


def is_transformed(*tensors: Tensor) -> bool:
    """Returns whether a layer has to be made of plain operations for these tensors.

    A compiler fuses plain operations better than what is written in place. Transformations of
    torch (`vmap`, `grad`, `jvp`) and forward derivatives know those of torch only.

    Args:
        tensors: What the layer computes with, its parameters included.
    """
    if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
        return True
    return any(map(is_functorch_wrapped_tensor, tensors))
