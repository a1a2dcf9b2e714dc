"""Ordered cells and a few outcomes that stand apart from the order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from components.distributions.categorical import Discrete
from components.distributions.precision import to_float32
from components.distributions.rows import joint_shape, pick


class CategoricalWithSpecials(Discrete):
    r"""S special outcomes without a place in the order, followed by ordered ones.

    .. math:: q_i = \pi_i \;\; (i < S), \quad q_{S+j} = \pi_S \, p_j, \quad
        \pi = \mathrm{softmax}(\text{logits})

    A smooth distribution could give an end-of-sequence token no more than a cell among its
    neighbors.

    Args:
        logits: One for each outcome that stands apart, then one for all ordered ones,
            `[..., S + 1]`.
        ordered: The distribution of those, batch shape `[...]`.
    """

    def __init__(self, logits: Tensor, ordered: Discrete) -> None:
        self._shares = to_float32(logits).log_softmax(-1)
        self.ordered = ordered
        self.specials = logits.shape[-1] - 1
        self.size = self.specials + ordered.size
        super().__init__(ordered.batch_shape, validate_args=False)

    @property
    def share(self) -> Tensor:
        """Probability of all ordered outcomes together, `[...]`."""
        return self._shares[..., -1].exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-probability of outcomes `[...]`, as cheaply as that of ordered ones."""
        value = value.long().expand(joint_shape(value, self.batch_shape))
        share = pick(self._shares, value.clamp_max(self.specials))
        inside = self.ordered.log_prob((value - self.specials).clamp_min(0))
        return share + torch.where(value < self.specials, 0.0, inside)

    @lazy_property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all outcomes, `[..., size]`."""
        apart, together = self._shares[..., :-1], self._shares[..., -1:]
        return torch.cat((apart, together + self.ordered.log_probs), -1)

    @property
    def logits(self) -> Tensor:
        """The log-probabilities: there are no others of single outcomes."""
        return self.log_probs
