"""The Fourier head: a smooth law over ordered outcomes, by a few Fourier coefficients."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from components.distributions import FourierCategorical, FourierDensity
from components.heads.preset import PresetLinear
from components.interfaces import Head
from components.supports import Binning, Interval, Support


class FourierHead(Head):
    r"""Predicts a density that is smooth by construction, for outcomes that have an order.

    The hidden state is mapped to N + 1 complex numbers a_k, and over the range of outcomes, scaled
    to z between -1 and 1, the density is

    .. math:: p(z) = \frac{|\sum_{k=0}^N a_k e^{i \pi k z}|^2}{2 \sum_k |a_k|^2}

    It is never negative and integrates to one. Over an interval it is the law itself; with bins,
    and over tokens, its values at the centers of the cells are, normalized, their probabilities.

    With fewer frequencies than cells no cell gets more than (N + 1) / cells, so not even certain
    outcomes score better than log(cells / (N + 1)) nats: that is the price of smoothness. From
    cells - 1 frequencies on, the head can express any law and prefers smooth ones no more. Both
    ends of the range are neighbors. Outcomes without an order (words) are better served by
    LinearHead.

    The official weights load after `fc_extract_autocorrelation_params` in their names is replaced
    by `projection`: real parts come first, then imaginary parts.

    Args:
        dim: Width of the hidden states, D. There are 2(N + 1)(D + 1) parameters per component.
        support: What can be predicted.
        frequencies: N, at least 1.
        bins: Cells that an interval is divided into, or a binning; if not given, its density is
            the law.
        eps: Added to every cell's probability before the logarithm, at least 0. The authors use
            1e-5, which takes a share cells * eps / (1 + cells * eps) of all mass.
        init: Where training starts: `uniform` close to the uniform law, `official` at random laws
            as in the authors' code (weights and biases are divided by 100, which no law depends
            on).

    Raises:
        ValueError: If `frequencies` is below 1, `eps` negative or given where there are no cells,
            `init` unknown, or `bins` given for a support that has its cells already.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), algorithm 1; its autocorrelation is
        replaced by the squared modulus it equals, which does not cancel.
    """

    def __init__(
        self,
        dim: int,
        support: Support,
        frequencies: int = 64,
        bins: int | Binning | None = None,
        eps: float = 0.0,
        init: Literal["uniform", "official"] = "uniform",
    ) -> None:
        super().__init__()
        if frequencies < 1:
            raise ValueError(
                f"FourierHead: frequencies={frequencies}; it needs at least 1 beside the constant."
            )
        if init not in ("uniform", "official"):
            raise ValueError(f"FourierHead: init={init!r} is neither 'uniform' nor 'official'.")
        continuous = isinstance(support, Interval) and bins is None
        if not eps >= 0 or (continuous and eps > 0):
            raise ValueError(
                f"FourierHead: eps={eps} is added to probabilities of cells, so it is at least 0, "
                "and 0 for a density without cells; drop it or give bins."
            )
        self.support = support
        self.cells = support if continuous else support.divide(bins)
        self.eps = eps
        self.coefficients = 2 * (frequencies + 1)
        laws = math.prod(support.shape)
        self.projection: nn.Module = (
            _Random(dim, laws * self.coefficients)
            if init == "official"
            else PresetLinear(dim, (1.0, *(0.0,) * (self.coefficients - 1)) * laws)
        )

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        shape = self.support.shape
        coefficients = self.projection(hidden).unflatten(-1, (*shape, self.coefficients))
        match self.cells:
            case Interval(low, high):
                density = FourierDensity(coefficients, low, high)
                return Independent(density, len(shape), validate_args=False) if shape else density
            case cells:
                law = FourierCategorical(coefficients, cells.size, self.eps)
                return cells.law(law, hidden.device)


class _Random(nn.Linear):
    """The authors' start: a usual linear layer, divided by 100."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.weight.div_(100)
            self.bias.div_(100)
