"""Sums over contexts of what a linear read-out says of each token, and of what it reads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

CHUNK = 1 << 24  # logits that are held at once: 64 MB


class Sums(NamedTuple):
    """Sums over N contexts."""

    positions: Tensor  # N
    probability: Tensor  # [V], of P(w|x)
    log_z: Tensor  # [2], of log Z and of its square
    likelihood: Tensor  # of log P of the token that came
    hidden: Tensor  # [D], of h
    products: Tensor  # [D, D], of h h^T
    counts: Tensor  # [V], how often each token came


class TokenStatistics(Metric):
    r"""Averages the probability of each token, and the vectors it is read from, over contexts.

    .. math:: \alpha_w = \frac{1}{N} \sum_x P(w|x), \quad P(w|x) = e^{E_w \cdot h_x + b_w} / Z_x

    Logits are float32 whatever the precision of the model, sums float64 (where the device has it).
    One pass, in memory that depends on vocabulary and width only; results do not depend on how
    contexts are divided into batches or processes.

    Args:
        weight: The output embedding, `[V, D]`.
        bias: `[V]`; None for none.
        chunk: Logits that are held at once, at least 1.

    Raises:
        ValueError: If `chunk` is not positive.

    Source: Cho et al., "Understanding Token Probability Encoding in Output Embeddings"
        (arXiv:2406.01468): the averaged output token probability.
    """

    full_state_update = False
    positions: Tensor
    probability: Tensor
    log_z: Tensor
    likelihood: Tensor
    hidden: Tensor
    products: Tensor
    counts: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, chunk: int = CHUNK) -> None:
        super().__init__()
        if chunk < 1:
            raise ValueError(f"TokenStatistics: chunk={chunk} holds no logit; use at least 1.")
        self.chunk = chunk
        self.register_buffer("weight", weight.detach().float(), persistent=False)
        own = None if bias is None else bias.detach().float()
        self.register_buffer("bias", own, persistent=False)
        (size, dim), device = weight.shape, weight.device
        exact = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs lack it
        vectors = {"probability": (size,), "log_z": (2,), "likelihood": (), "hidden": (dim,)}
        for name, shape in {**vectors, "products": (dim, dim)}.items():
            self.add_state(name, torch.zeros(shape, dtype=exact), dist_reduce_fx="sum")
        for name, counted in {"positions": (), "counts": (size,)}.items():
            self.add_state(name, torch.zeros(counted, dtype=torch.int64), dist_reduce_fx="sum")
        self.to(device)

    def update(self, hidden: Tensor, target: Tensor) -> None:
        """Adds contexts.

        Args:
            hidden: What the read-out reads, `[N, D]`.
            target: The tokens that came, `[N]`.
        """
        rows = max(1, self.chunk // len(self.weight))
        for part, came in zip(hidden.detach().split(rows), target.split(rows), strict=True):
            self._add(part, came)
        self.positions += len(hidden)
        self.counts += torch.bincount(target, minlength=len(self.weight))

    def _add(self, hidden: Tensor, target: Tensor) -> None:
        with torch.autocast(hidden.device.type, enabled=False):
            logits = torch.nn.functional.linear(hidden.float(), self.weight, self.bias)
            log_z = logits.logsumexp(-1)
            log_probs = logits.sub_(log_z[:, None])
            likelihood = log_probs.gather(1, target[:, None])
            probability = log_probs.exp_()
        exact, wide = log_z.to(self.log_z), hidden.to(self.hidden)
        self.probability += probability.sum(0, dtype=self.probability.dtype)
        self.log_z += torch.stack((exact.sum(), exact.square().sum()))
        self.likelihood += likelihood.sum(dtype=self.likelihood.dtype)
        self.hidden += wide.sum(0)
        self.products += wide.T @ wide

    def compute(self) -> Sums:
        """Returns the sums over all processes."""
        return Sums(*(getattr(self, name) for name in Sums._fields))
