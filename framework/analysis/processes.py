"""Sums over processes, each of which holds the whole model and reads its own examples."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def place() -> tuple[int, int]:
    """Returns the number of this process and how many there are."""
    if not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def total(share: Tensor) -> Tensor:
    """Returns the sum of a tensor over all processes; it has the same shape in each."""
    whole = share.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(whole)
    return whole


def largest(number: int, device: torch.device) -> int:
    """Returns the largest of the numbers that the processes give.

    Args:
        number: That of this process.
        device: Where processes exchange tensors.
    """
    share = torch.tensor(number, device=device)
    if dist.is_initialized():
        dist.all_reduce(share, dist.ReduceOp.MAX)
    return int(share)


def exact(tensor: Tensor) -> Tensor:
    """Returns a tensor in float64, in which sums over a data set lose nothing."""
    where = torch.device("cpu") if tensor.device.type == "mps" else tensor.device
    return tensor.detach().to(where).double()  # Apple's GPUs have no float64
