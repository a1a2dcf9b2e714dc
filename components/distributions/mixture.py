"""A mixture of normal distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property
from torch.types import _size

from components.distributions.categorical import Categorical
from components.distributions.expanding import Expandable
from components.distributions.inversion import bisect, implicit
from components.distributions.quadrature import panels
from components.distributions.tensors import (
    entropies,
    gather,
    joint_shape,
    require_positive,
    tiny,
    to_float32,
)

SIDE, STEPS = 9.0, 24  # standard deviations on either side of a mean, and panels between
NODES = 8  # in each panel
ASCENTS = 64  # steps toward each peak; the rate is that of expectation maximization


class Mixture(Expandable):
    r"""A mixture of normal distributions: :math:`p(x) = \sum_k w_k N(x; m_k, s_k)`.

    Args:
        logits: Logarithms of the weights up to a constant, `[..., K]`.
        loc: Means of the components, `[..., K]`, in the units of the outcome.
        scale: Standard deviations of the components, positive, `[..., K]`, in the same units.

    Raises:
        ValueError: On a CPU, if a scale is not positive.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    has_rsample = True
    support = constraints.real

    rows = ("log_weights", "loc", "scale")

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor) -> None:
        logits, loc, scale = (to_float32(t) for t in (logits, loc, scale))
        require_positive(scale, "Mixture: scale")
        shape = joint_shape(logits, loc, scale)
        self.log_weights = logits.log_softmax(-1).expand(shape)
        self.loc = loc.expand(shape)
        self.scale = scale.expand(shape)
        super().__init__(shape[:-1], validate_args=False)

    @lazy_property
    def weights(self) -> Tensor:
        """Probabilities of the components, `[..., K]`."""
        return self.log_weights.exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`."""
        return self._joint(value).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        below: Tensor = torch.special.ndtr(self._standardize(value))
        return (self.weights * below).sum(-1)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable.

        They are infinite at 0 and 1, and NaN at what is no probability.
        """
        shape = joint_shape(value, self.batch_shape)
        level = value.to(self.weights.dtype).expand(shape)
        # the quantile lies between those of the components
        inside = level.clamp(tiny(level), 1 - torch.finfo(level.dtype).eps)
        each = self.loc + self.scale * torch.special.ndtri(inside).unsqueeze(-1)
        x = bisect(lambda x: self.cdf(x) - level, each.amin(-1), each.amax(-1))
        found = implicit(x, self.cdf(x) - level, self.log_prob(x).exp())
        end = torch.special.ndtri(level.detach())  # what components have, where it is not finite
        return torch.where(end.isfinite(), found, end)

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return (self.weights * self.loc).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Variance between and within components, `[...]`."""
        between = (self.loc - self.mean.unsqueeze(-1)).square()
        return (self.weights * (between + self.scale.square())).sum(-1)

    @property
    @torch.no_grad()
    def mode(self) -> Tensor:
        """Where the density is highest, `[...]`, without gradient.

        Climbs from every component's mean by the fixed point that peaks satisfy, which never
        descends, and takes the highest peak.
        """
        precision = self.scale.square().reciprocal()
        peaks = self.loc.movedim(-1, 0)
        for _ in range(ASCENTS):
            pull = self._joint(peaks).softmax(-1) * precision
            peaks = (pull * self.loc).sum(-1) / pull.sum(-1)
        return gather(peaks.movedim(0, -1), self.log_prob(peaks).argmax(0))

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`; see `entropy_between`."""
        return self.entropy_between(-math.inf, math.inf)

    def entropy_between(self, low: float, high: float) -> Tensor:
        r"""Computes :math:`-\int p \log p` between two bounds, in nats, `[...]`.

        By Gauss-Legendre quadrature. Panels end at even steps around every component, so that none
        is missed, however narrow it is and wherever it lies.
        """
        x, weights = self._panels(low, high)
        return (weights * entropies(self.log_prob(x))).sum(0).to(self.loc.dtype)

    @torch.no_grad()
    def _panels(self, low: float, high: float) -> tuple[Tensor, Tensor]:
        """Places `[P, ...]`, float64, and weights of integrals; panels beyond bounds are empty."""
        steps = torch.linspace(-SIDE, SIDE, STEPS + 1, dtype=torch.float64, device=self.loc.device)
        ends = self.loc.double().unsqueeze(-1) + self.scale.double().unsqueeze(-1) * steps
        x, weights = panels(ends.flatten(-2).sort(-1).values.clamp(low, high), NODES)
        return x.movedim(-1, 0), weights.movedim(-1, 0)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, with the implicit gradient."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            chosen = Categorical(self.log_weights).sample(sample_shape)
            noise = torch.randn(shape, dtype=self.weights.dtype, device=self.weights.device)
            drawn = gather(self.loc, chosen) + gather(self.scale, chosen) * noise
        below = self.cdf(drawn)
        return implicit(drawn, below - below.detach(), self.log_prob(drawn).exp())

    def _joint(self, value: Tensor) -> Tensor:
        """Log-density of each component, times its weight, `[..., K]`."""
        peak = self.log_weights - self.scale.log() - math.log(2 * math.pi) / 2
        return peak - self._standardize(value).square() / 2

    def _standardize(self, value: Tensor) -> Tensor:
        return (value.unsqueeze(-1) - self.loc) / self.scale
