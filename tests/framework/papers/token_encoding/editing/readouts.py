"""A random read-out and contexts of it, for the closed forms of edits."""

import torch

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import Known
from framework.papers.token_encoding.readout import Readout

SIZE, DIM, COUNT = 50, 16, 600  # tokens, width, contexts


def make(seed: int = 0, bias: bool = False) -> tuple[Readout, Contexts]:
    """Draws a read-out, whose tokens are not equally probable, and contexts."""
    generator = torch.Generator().manual_seed(seed)
    weight = 0.4 * torch.randn(SIZE, DIM, generator=generator)
    constant = torch.randn(SIZE, generator=generator) if bias else None
    hidden = 1 + torch.randn(COUNT, DIM, generator=generator)
    return (
        Readout(weight, constant),
        Contexts(hidden, torch.randint(0, SIZE, (COUNT,), generator=generator)),
    )


def know(contexts: Contexts, seed: int = 0) -> Known:
    """Tells directions the moments of contexts, and a slope that is longer than their mean."""
    hidden = contexts.hidden.double()
    noise = torch.randn(DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    slope = -1.3 * hidden.mean(0) + 0.7 * noise
    covariance = torch.cov(hidden.T, correction=0)
    return Known(hidden.mean(0), covariance, lambda: slope, len(hidden), torch.float32)
