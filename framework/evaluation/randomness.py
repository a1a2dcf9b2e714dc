"""Draws for an evaluation that neither depend on what was drawn before nor change what follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the global generators for a while, and puts them back as they were.

    Args:
        seed: What to seed them with.
        device: Where draws are made, besides the CPU.
    """
    others = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=others, device_type="cuda" if not others else device.type):
        torch.manual_seed(seed)
        yield
