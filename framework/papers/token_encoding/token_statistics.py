"""Sums over contexts of predicted probabilities, and moments of what a read-out reads."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import linear
from torchmetrics import Metric

CHUNK = 1 << 24  # logits that are held at once: 64 MB
TILE = 1 << 17  # of these, what stays in the cache of a processor from softmax to sum: 0.5 MB


class Sums(NamedTuple):
    """Sums over N contexts, float64: numbers of contexts and tokens are exact up to 2^53."""

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

    Logits are float32 whatever the precision of the model, sums float64; on a device without
    float64 (Apple's) all of it is computed on the CPU. One pass, in memory that depends on
    vocabulary and width only: the matrix in float32, `chunk` logits with their probabilities, and
    sums. Results do not depend on how contexts are divided into batches or processes; processes
    are joined by one reduction.

    Vectors are summed as they are, not less a mean that would have to be known beforehand. Where
    the mean is m times the deviation, a variance then loses m² · 1e-16 of itself; to hold such
    vectors in float32 costs m² · 1e-15.

    Args:
        weight: The output embedding, `[V, D]`.
        bias: `[V]`; None for none.
        chunk: Logits that are held at once, at least 1; those of one context always are.

    Raises:
        ValueError: If `chunk` is not positive.

    Source: Cho et al., "Understanding Token Probability Encoding in Output Embeddings"
        (arXiv:2406.01468): the averaged output token probability.
    """

    full_state_update = False
    higher_is_better = None
    sums: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None, chunk: int = CHUNK) -> None:
        super().__init__(dist_sync_fn=_joined)
        if chunk < 1:
            raise ValueError(f"TokenStatistics: chunk={chunk} holds no logit; use at least 1.")
        device = torch.device("cpu") if weight.device.type == "mps" else weight.device
        self.register_buffer("weight", weight.detach().float().to(device), persistent=False)
        own = None if bias is None else bias.detach().float().to(device)
        self.register_buffer("bias", own, persistent=False)
        (size, dim), self.chunk = weight.shape, chunk
        # A small tile pays where there is a cache to stay in, a large one where kernels are sent.
        self._tile = TILE if device.type == "cpu" else chunk
        self._shapes: list[tuple[int, ...]] = [(), (size,), (2,), (), (dim,), (dim, dim), (size,)]
        length = sum(math.prod(shape) for shape in self._shapes)
        zeros = torch.zeros(length, dtype=torch.float64)
        self.add_state("sums", zeros, dist_reduce_fx="sum")  # all in one, for one reduction
        self.to(device)

    def update(self, hidden: Tensor, target: Tensor) -> None:
        """Adds contexts.

        Args:
            hidden: What the read-out reads, `[N, D]`.
            target: The tokens that came, `[N]`.
        """
        device, rows = self.weight.device, max(1, self.chunk // len(self.weight))
        fields = (field.detach().to(device) for field in (hidden, target))
        for part in zip(*(torch.split(field, rows) for field in fields), strict=True):
            self._add(*part)

    def compute(self) -> Sums:
        """Returns the sums over all processes."""
        return self._apart(self.sums.clone())

    def _add(self, hidden: Tensor, target: Tensor) -> None:
        sums, rows = self._apart(self.sums), max(1, self._tile // len(self.weight))
        with torch.autocast(hidden.device.type, enabled=False):
            logits = linear(hidden.float(), self.weight, self.bias)
        log_zs = []
        for tile in torch.split(logits, rows):
            probability, log_z = normalize(tile)
            sums.probability.add_(probability.double().sum(0))
            log_zs.append(log_z)
        log_z, wide = torch.cat(log_zs), hidden.double()
        came = logits.gather(1, target[:, None])[:, 0].double() - log_z
        sums.positions.add_(len(hidden))
        sums.log_z.add_(torch.stack((log_z.sum(), log_z.square().sum())))
        sums.likelihood.add_(came.sum())
        sums.hidden.add_(wide.sum(0))
        sums.products.addmm_(wide.T, wide)
        sums.counts.add_(torch.bincount(target, minlength=len(self.weight)))

    def _apart(self, sums: Tensor) -> Sums:
        """Returns views of each sum."""
        parts = torch.split(sums, [math.prod(shape) for shape in self._shapes])
        return Sums(*(part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)))


def normalize(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Returns probabilities `[..., V]` in the type of the logits, and log Z `[...]` in float64.

    log Z is taken from the most likely token, which spares a second sum of exponentials and the
    rounding of log Z to float32.
    """
    probability = logits.softmax(-1)
    return probability, logits.amax(-1).double() - probability.amax(-1).double().log()


def _joined(share: Tensor, group: Any = None) -> list[Tensor]:
    """Adds up the shares of processes in place of gathering them, in the memory of one."""
    whole = share.clone()
    dist.all_reduce(whole, group=group)
    return [whole]
