"""What the processor lacks for the precision of a run."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_warn


def warn_of_slow_bfloat16(precision: object, device: torch.device) -> None:
    """Warns where products of bfloat16 matrices are emulated, some fifty times as slow as float32.

    Args:
        precision: That of the trainer, such as "bf16-mixed".
        device: Where the model is.
    """
    if device.type == "cpu" and "bf16" in str(precision) and not has_bfloat16_products():
        rank_zero_warn(
            "This processor has no bfloat16 products, so that a run with "
            f"precision={precision} is many times slower than in float32; drop precision/bf16 "
            "(trainer.precision: 32-true) on this machine."
        )


def has_bfloat16_products() -> bool:
    """Returns whether the CPU multiplies bfloat16 matrices, True where that is not known."""
    able = torch.cpu.get_capabilities()
    known = able.get("architecture") == "x86_64"
    return not known or bool(able.get("amx_bf16") or able.get("avx512_bf16"))
