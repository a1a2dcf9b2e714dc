"""Edits: what shifted logits of some tokens do to all probabilities, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.readout import Readout

CHUNK = 1 << 24  # logits that are held at once


@dataclass(frozen=True, eq=False)
class Shifted:
    r"""Distributions over tokens after logits of W tokens were shifted in N contexts.

    .. math:: P'_w = P_w e^{\delta_w} / D, \quad P'_v = P_v / D \text{ of any other token}, \quad
        D = 1 + \sum_w P_w (e^{\delta_w} - 1)

    Exact, with no other forward pass. Leading axes are edits that do not know of each other.

    Args:
        log_probs: Log probabilities of the tokens before, `[..., N, W]` float64.
        shift: What is added to their logits, broadcast to the same shape.
    """

    log_probs: Tensor
    shift: Tensor

    @cached_property
    def log_others(self) -> Tensor:
        """The log of the factor, `[..., N]`, by which the edit scales every other token."""
        moved = torch.logsumexp(self.log_probs + self.shift, -1)
        return -torch.logaddexp(self._log_rest, moved)

    @cached_property
    def _log_rest(self) -> Tensor:
        """Log probability of all other tokens before, `[..., N]`; rounding may leave none."""
        rest = 1 - self.log_probs.exp().sum(-1)
        return rest.clamp(min=torch.finfo(rest.dtype).tiny).log()

    @cached_property
    def log_moved(self) -> Tensor:
        """Log probabilities of the tokens after, `[..., N, W]`."""
        return self.log_probs + self.shift + self.log_others[..., None]

    def log_scale(self) -> Tensor:
        """Returns the log of the factor of alpha of each token over these contexts, `[..., W]`."""
        return self.log_moved.logsumexp(-2) - self.log_probs.logsumexp(-2)

    def kl(self) -> Tensor:
        """Returns the mean over contexts of KL(P || P'), in nats, `[...]`."""
        kept = (self.log_probs.exp() * self.shift).sum(-1)
        return -(kept + self.log_others).mean(-1)

    def js(self) -> Tensor:
        """Returns the mean Jensen-Shannon divergence of P and P', in nats, `[...]`.

        All other tokens keep their ratios, so that they count as one.
        """
        before = torch.cat((self.log_probs, self._log_rest[..., None]), -1)
        rest = (self._log_rest + self.log_others)[..., None]
        after = torch.cat((self.log_moved, rest), -1)
        middle = torch.logaddexp(before, after) - torch.tensor(2.0, dtype=before.dtype).log()
        both = before.exp() * (before - middle) + after.exp() * (after - middle)
        return both.sum(-1).mean(-1) / 2

    def nll(self, came: Tensor) -> Tensor:
        """Returns by how much the mean NLL of the tokens that came rises, in nats, `[...]`.

        Args:
            came: Whether the token that came is the edited one, `[..., N, W]` bool.
        """
        return -((self.shift * came).sum(-1) + self.log_others).mean(-1)


def averages(own: Readout, contexts: Contexts, log_factors: Tensor) -> Tensor:
    """Returns the mean over contexts of P(v|x) times some factors, of all tokens.

    Args:
        own: The read-out before the edits, V tokens.
        contexts: N of them.
        log_factors: Logs of what each of R edits does to tokens other than its own, `[N, R]`.

    Returns:
        `[V, R]` float64: the averaged probabilities after each edit, of tokens that it leaves.
    """
    size = len(own.weight)
    total = torch.zeros(size, log_factors.shape[1], dtype=torch.float64)
    step = max(1, CHUNK // size)
    parts = torch.split(contexts.hidden, step), torch.split(log_factors, step)
    for hidden, log_factor in zip(*parts, strict=True):
        probability = own.logits(hidden).softmax(-1)
        total += (probability.T @ log_factor.exp().float()).double()
    return total / len(contexts)
