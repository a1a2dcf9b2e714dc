"""EvenMixtureHead: the mixture baseline of the paper, with equal weights and constant widths."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import softplus

from components.distributions import Categorical, Mixture
from components.distributions.tensors import to_float32
from components.distributions.vectors import joint
from components.heads.parametric import FLOOR, real_interval
from components.interfaces import Head
from components.numbers import count
from components.supports import Bins, Support

EPS = 1e-5  # added to the density before its logarithm becomes a logit


class EvenMixtureHead(Head):
    r"""Predicts the means of a mixture of normal distributions of equal weight.

    .. math:: p(z) = \frac{1}{K} \sum_{k=1}^K N(z; \tanh(m_k), s_k)

    over the range of outcomes, scaled to z between -1 and 1. The widths s are parameters of the
    head, which do not depend on the input. With bins, the logarithm of p + 1e-5 at the centers of
    the cells are logits; without, the mixture is the distribution, and no value is impossible.

    Use it as a baseline where the truth is known to have this form, otherwise MixtureHead, whose
    weights and widths depend on the input.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        components: Number of normal distributions, K, at least 1.
        bins: Cells that an interval is divided into; if not given, the mixture itself is the
            distribution.

    Raises:
        ValueError: If the support is one of tokens, has cells already and `bins` differ or they
            are not all of one width, or `components` is below 1.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), toy example, "GMM head". The widths
        start near one cell with bins, and near half the range without.
    """

    def __init__(
        self, dim: int, support: Support, components: int = 2, bins: int | None = None
    ) -> None:
        super().__init__()
        components = count(components, "EvenMixtureHead: components")
        if components < 1:
            raise ValueError(f"EvenMixtureHead: components={components}; use at least 1.")
        interval = real_interval(support, type(self).__name__)
        self.support = support
        if bins is not None:
            bins = count(bins, "EvenMixtureHead: bins")
        self.cells = None if bins is None else support.divide(bins)
        if isinstance(self.cells, Bins) and not self.cells.even:
            raise ValueError(
                f"EvenMixtureHead: bins={bins} are cells of one width, those of the data are not; "
                "leave bins out, or use MixtureHead."
            )
        self.low, self.high = interval.low, interval.high
        start = math.log(2 if bins is None else 2 / bins)
        distributions = components * math.prod(support.shape)
        self.components = components
        self.projection: nn.Module = _MeansAndWidths(dim, distributions, start)

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        shape = self.support.shape
        raw = to_float32(self.projection(hidden).unflatten(-1, (2, *shape, self.components)))
        axis = -2 - len(shape)
        loc, scale = raw.select(axis, 0).tanh(), softplus(raw.select(axis, 1)) + FLOOR
        if self.cells is not None:
            distribution = Mixture(torch.zeros_like(loc), loc, scale)
            index = torch.arange(self.cells.size, dtype=raw.dtype, device=raw.device)
            centers = (2 * index + 1) / self.cells.size - 1
            density = distribution.log_prob(centers.view(-1, *(1,) * (loc.dim() - 1))).movedim(
                0, -1
            )
            return self.cells.distribution(Categorical((density.exp() + EPS).log()), hidden.device)
        half = (self.high - self.low) / 2
        mixture = Mixture(torch.zeros_like(loc), self.low + half * (loc + 1), half * scale)
        return joint(mixture, shape)


class _MeansAndWidths(nn.Module):
    """A linear map for the means, and parameters for the widths."""

    def __init__(self, dim: int, distributions: int, start: float) -> None:
        super().__init__()
        self.means = nn.Linear(dim, distributions)
        self.start = start
        self.widths = nn.Parameter(torch.empty(distributions))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets all widths to their initial value."""
        nn.init.constant_(self.widths, self.start)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., D]` to raw means and widths `[..., 2 * distributions]`."""
        means = self.means(hidden)
        return torch.cat((means, self.widths.to(means.dtype).expand_as(means)), -1)
