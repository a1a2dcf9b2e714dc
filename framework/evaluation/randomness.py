"""Seeds of torch: within a block, without an effect on the draws of training, and for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the global generators within a block, and restores them afterwards.

    Args:
        seed: The seed.
        device: Device on which draws are made, in addition to the CPU.
    """
    others = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=others, device_type="cuda" if not others else device.type):
        reseed(seed)
        yield


def reseed(seed: int) -> None:
    """Seeds torch on all devices, as `torch.manual_seed` does, but at no price without a GPU.

    That one takes a millisecond inside a trainer: it notes the seed for a GPU that may still come
    to use, and the whole stack of calls with it.

    Args:
        seed: The seed.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
