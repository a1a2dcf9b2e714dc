"""Divergence of the next-token distributions before and after a deletion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, softplus

from framework.analysis.processes import exact
from framework.analysis.sample import Sample
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.pruning.deletion import Deletion
from framework.papers.token_encoding.pruning.orders import centered
from framework.papers.token_encoding.readout import Readout, states

ROWS = 64  # contexts at a time: their logits stay in the cache of a processor


class Divergence(NamedTuple):
    """Means over contexts, of the distribution P before and the distribution Q after."""

    kl: float  # KL(P‖Q) in nats
    js: float  # Jensen-Shannon divergence in nats, ln 2 at most
    nll: float  # mean increase of the loss of the observed tokens, in nats
    agreement: float  # share of contexts in which the most likely token is the same


def diverge(
    own: Readout, contexts: Contexts, deletions: Sequence[Deletion], rows: int = ROWS
) -> list[Divergence]:
    """Measures the cost of deletions, in one pass over contexts.

    The logits of all tokens are held for some contexts at a time, in float32 without what all
    tokens share; sums are float64.

    Args:
        own: The read-out, on the device that computes.
        contexts: What it reads, and the observed tokens.
        deletions: The deletions.
        rows: Contexts whose logits are held at once, at least 1.
    """
    weight = centered(exact(own.weight)).to(own.weight)
    bias = None if own.bias is None else centered(exact(own.bias)).to(own.weight)
    sums = torch.zeros(len(deletions), 4, dtype=torch.float64)
    parts = (torch.split(field, rows) for field in (contexts.hidden, contexts.target))
    for part, came in zip(*parts, strict=True):
        hidden, token = part.to(weight.device), came.to(weight.device)[:, None]
        with torch.autocast(weight.device.type, enabled=False):
            before = linear(hidden, weight, bias).log_softmax(-1)
            probability = before.exp()
            for row, deletion in zip(sums, deletions, strict=True):
                after = linear(deletion.states(hidden), weight, bias).log_softmax(-1)
                row += _sums(before, probability, after, token)
    return [Divergence(*row) for row in (sums / len(contexts)).tolist()]


def by_forward_pass(
    before: PredictiveModule, after: PredictiveModule, sample: Sample
) -> tuple[Divergence, Contexts]:
    """Measures the divergence between the distributions of two models.

    Args:
        before: The one.
        after: The other.
        sample: What both read.

    Returns:
        The divergence, and the contexts that it was measured in, as the read-out of `before` has
        them.
    """
    sums, hidden, target = torch.zeros(4, dtype=torch.float64), [], []
    for _, batch in sample:
        counted = batch.weight > 0
        with torch.no_grad(), torch.autocast(counted.device.type, enabled=False):
            p, q = (
                each(batch).logits[counted].float().log_softmax(-1) for each in (before, after)
            )
            hidden.append(states(before, batch)[counted].float().cpu())
        target.append(batch.target[counted])
        sums += _sums(p, p.exp(), q, target[-1][:, None])
    contexts = Contexts(torch.cat(hidden), torch.cat(target).cpu())
    return Divergence(*(sums / len(contexts)).tolist()), contexts


def _sums(before: Tensor, probability: Tensor, after: Tensor, token: Tensor) -> Tensor:
    r"""Sums the four quantities over contexts, `[4]` float64 on the CPU.

    With d = log Q/P and s = log M/P = softplus(d) - ln 2, where M = (P + Q) / 2, Jensen-Shannon is
    :math:`-\frac{1}{2} \sum P s + Q (s - d)`, exactly 0 where nothing moves.

    Args:
        before: log P, `[n, V]`.
        probability: P.
        after: log Q, which is overwritten.
        token: What came, `[n, 1]`.
    """
    best = before.argmax(-1, keepdim=True)
    agreement = after.gather(-1, best)[:, 0] == after.amax(-1)
    moved = after.exp()
    change = after.sub_(before)
    kl, nll = -(probability * change).sum(-1), -change.gather(-1, token)[:, 0]
    half = softplus(change).sub_(math.log(2))
    js = -(probability * half).sum(-1) - moved.mul_(half.sub_(change)).sum(-1)
    return torch.stack([exact(x).sum().cpu() for x in (kl, js / 2, nll, agreement.float())])
