"""Distributions over numbered outcomes: the interface, logits, and outcomes without an order."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint, integer_interval
from torch.distributions.utils import lazy_property
from torch.nn.functional import cross_entropy
from torch.types import _size

from components.distributions.expanding import Expandable
from components.distributions.tensors import (
    choose,
    entropies,
    gather,
    joint_shape,
    require_levels,
    require_numbers,
    searchsorted,
    to_float32,
    unless_nan,
    within,
)


class Discrete(Expandable, ABC):
    """A distribution over the outcomes 0 .. size-1, batch shape `[...]`.

    `log_prob` costs as much as one outcome does; the axis over all outcomes is built only when
    `log_probs`, `probs`, `logits` or something made of them is read.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    size: int

    @property
    def support(self) -> Constraint:
        """The outcomes that are possible: 0 .. size - 1."""
        return integer_interval(0, self.size - 1)  # type: ignore[no-untyped-call]  # torch's

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-probability of outcomes `[...]` (any integer dtype), `[...]`.

        It is NaN for outcomes that are not possible, on a GPU.

        Raises:
            ValueError: On a CPU, if an outcome is not possible.
        """
        index, inside = within(value, self.size, type(self).__name__)
        found = self._log_prob(index)
        return found if inside is None else torch.where(inside, found, torch.nan)

    @abstractmethod
    def _log_prob(self, index: Tensor) -> Tensor:
        """Computes the log-probability of possible outcomes, int64 `[...]`, `[...]`."""

    @property
    @abstractmethod
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all outcomes, `[..., size]`."""

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """Log-probabilities up to a constant, `[..., size]`; raw logits where there are some."""

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities of all outcomes, `[..., size]`."""
        return self.log_probs.exp()

    @property
    def mode(self) -> Tensor:
        """The most probable outcome, int64 `[...]`."""
        return self.log_probs.argmax(-1)

    @property
    def mean(self) -> Tensor:
        """Mean of the index, `[...]`; meaningful where outcomes are ordered."""
        return (self.probs * self._outcomes).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Variance of the index, `[...]`."""
        return (self.probs * (self._outcomes - self.mean.unsqueeze(-1)).square()).sum(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of an index of at most `value`, `[...]`; for ordered outcomes.

        Below the first outcome it is 0, and from the last one on it is 1.
        """
        if value.is_floating_point():
            value = value.clamp(-1, self.size)  # of infinity there is no index
        index = value.floor().long()
        below = gather(self._cumulative, index.clamp(0, self.size - 1))
        return unless_nan(value, torch.where(index < 0, 0.0, below))

    def quantile(self, level: Tensor) -> Tensor:
        """Returns the first index up to which the probability is at least a level, int64 `[...]`.

        It is not called `icdf` because it has no gradient, which losses expect of that.

        Raises:
            ValueError: On a CPU, if a level is NaN, of which there is no index.
        """
        require_levels(level, type(self).__name__)
        return searchsorted(self._cumulative, level).clamp_max(self.size - 1)

    def entropy(self) -> Tensor:
        """Computes the entropy in nats, `[...]`."""
        return entropies(self.log_probs).sum(-1)

    def largest(self, count: int) -> tuple[Tensor, Tensor]:
        """Finds the most probable outcomes, in no order.

        Args:
            count: How many, at most `size`.

        Returns:
            Their probabilities, up to a factor and to rounding of the largest, and their numbers,
            int64, both `[..., count]`.
        """
        log_probs, outcomes = to_float32(self.logits).topk(count, sorted=False)
        return log_probs.softmax(-1), outcomes

    def draws_alone(self, draws: int) -> bool:
        """Returns whether so many draws of each need fewer than all probabilities."""
        return False

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws outcomes, int64 `[*sample_shape, ...]`, by bisection of the summed probabilities.

        On a CPU, with thousands of outcomes, that takes a fifth of what `torch.multinomial` takes.

        Raises:
            ValueError: On a CPU, if probabilities are NaN.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        draws = torch.Size(sample_shape).numel()
        with torch.no_grad():
            sums = self.probs.reshape(-1, self.size).cumsum(-1)
            require_numbers(sums[:, -1])
            uniform = torch.rand(len(sums), draws, dtype=sums.dtype, device=sums.device)
            return choose(sums, uniform).T.reshape(shape)

    @lazy_property
    def _cumulative(self) -> Tensor:
        return self.probs.cumsum(-1)

    @property
    def _outcomes(self) -> Tensor:
        return torch.arange(self.size, dtype=self.probs.dtype, device=self.probs.device)


class Categorical(Discrete):
    """The distribution of an index given by one logit per outcome.

    Twice as fast as torch's own where only `log_prob` is needed: it goes through the fused
    cross-entropy, in float32, and nothing is normalized before that.

    Args:
        logits: Log-probabilities up to a constant, `[..., K]`; kept as they came, for
            temperature, top-k and z-loss.
    """

    rows = ("_logits",)

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits
        self.size = logits.shape[-1]
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def logits(self) -> Tensor:
        """The raw logits `[..., size]`, in the dtype in which they came."""
        return self._logits

    def _log_prob(self, index: Tensor) -> Tensor:
        """In float32 or better."""
        logits = to_float32(self._logits)
        if index.shape == self.batch_shape:
            nll = cross_entropy(logits.reshape(-1, self.size), index.reshape(-1), reduction="none")
            return -nll.reshape(index.shape)
        return gather(logits, index) - logits.logsumexp(-1)

    @lazy_property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all outcomes, `[..., size]`."""
        return to_float32(self._logits).log_softmax(-1)


class CategoricalWithSpecials(Discrete):
    r"""S special outcomes outside the order, followed by ordered ones.

    .. math:: q_i = \pi_i \;\; (i < S), \quad q_{S+j} = \pi_S \, p_j, \quad
        \pi = \mathrm{softmax}(\text{logits})

    A smooth distribution alone could not give an end-of-sequence token more than its neighbors.

    Args:
        logits: One for each special outcome, then one for all ordered ones,
            `[..., S + 1]`.
        ordered: The distribution of the ordered outcomes, batch shape `[...]`.
    """

    rows = ("ordered", "_log_weights")

    def __init__(self, logits: Tensor, ordered: Discrete) -> None:
        self._log_weights = to_float32(logits).log_softmax(-1)
        self.ordered = ordered
        self.specials = logits.shape[-1] - 1
        self.size = self.specials + ordered.size
        super().__init__(ordered.batch_shape, validate_args=False)

    @property
    def ordered_probability(self) -> Tensor:
        """Probability of all ordered outcomes together, `[...]`."""
        return self._log_weights[..., -1].exp()

    def _log_prob(self, index: Tensor) -> Tensor:
        """As cheaply as that of ordered ones."""
        index = index.expand(joint_shape(index, self.batch_shape))
        weight = gather(self._log_weights, index.clamp_max(self.specials))
        inside = self.ordered.log_prob((index - self.specials).clamp_min(0))
        return weight + torch.where(index < self.specials, 0.0, inside)

    @lazy_property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all outcomes, `[..., size]`."""
        special, ordered = self._log_weights[..., :-1], self._log_weights[..., -1:]
        return torch.cat((special, ordered + self.ordered.log_probs), -1)

    @property
    def logits(self) -> Tensor:
        """The log-probabilities, as single outcomes have no other logits."""
        return self.log_probs
