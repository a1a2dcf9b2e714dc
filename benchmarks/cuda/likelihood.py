"""The likelihood of a large vocabulary on a device, against whole logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.cuda.checks import Place, require_close
from components.layers.readout import nats


def readout(place: Place) -> str:
    """Holds chunked likelihoods of a large vocabulary against float64, and times them."""
    rows, dim, size = place.size((8192, 1024, 50_304), (32, 8, 100))
    hidden = torch.randn(rows, dim, device=place.device, requires_grad=True)
    weight = (torch.randn(size, dim, device=place.device) / dim**0.5).requires_grad_()
    index = torch.randint(size, (rows,), device=place.device)

    def ours() -> Tensor:
        with torch.autocast(place.device, torch.bfloat16):
            return nats(hidden, weight, None, index)

    def plain() -> Tensor:
        with torch.autocast(place.device, torch.bfloat16):
            return cross_entropy(hidden @ weight.t(), index, reduction="none")

    few = slice(0, 256)
    exact = [each.detach()[few].cpu().double() for each in (hidden, index)]
    wide = weight.detach().cpu().double()
    away = require_close(
        "nats", ours()[few], cross_entropy(exact[0] @ wide.t(), exact[1].long(), reduction="none"),
        0.01,
    )  # fmt: skip
    leaves = [hidden, weight]
    pairs = [torch.autograd.grad(run().mean(), leaves) for run in (ours, plain)]
    for mine, theirs in zip(*pairs, strict=True):
        away = max(away, require_close("gradient", mine, theirs, 0.05))
    seconds = place.medians(*(partial(_gradient, run, leaves) for run in (ours, plain)), rounds=5)
    peaks = [_peak(place, partial(_gradient, run, leaves)) for run in (ours, plain)]
    memory = f", memory {peaks[0]:.3g} against {peaks[1]:.3g} GiB" if peaks[1] else ""
    return f"distance {away:.1g}; time over whole logits {seconds[0] / seconds[1]:.3g}{memory}"


def _gradient(run: Callable[[], Tensor], leaves: list[Tensor]) -> None:
    torch.autograd.grad(run().mean(), leaves)


def _peak(place: Place, run: Callable[[], object]) -> float:
    """Returns the most memory that is allocated beyond what is there, in GiB; 0 on a CPU."""
    if place.device != "cuda":
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**30
