"""The Fourier head: a smooth distribution over ordered outcomes, by a few Fourier coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from components.distributions.fourier.warps import WarpFactory
from components.heads.fourier_reading import reading
from components.interfaces import Head
from components.layers.feedforward import ProjectionFactory
from components.layers.linear import PresetLinear
from components.numbers import count
from components.supports import Binning, Interval, Support

OFFICIAL_NAME = "fc_extract_autocorrelation_params."  # of the authors' linear map


class FourierHead(Head):
    r"""Predicts a density that is smooth by construction, for outcomes that have an order.

    The hidden state is mapped to N + 1 complex numbers a_k, and over the range of outcomes, scaled
    to z between -1 and 1, the density is

    .. math:: p(z) = \frac{|\sum_{k=0}^N a_k e^{i \pi k z}|^2}{2 \sum_k |a_k|^2}

    It is never negative and integrates to one. Over an interval it is the distribution itself;
    with bins, and over tokens, it gives the cells their probabilities.

    With fewer frequencies than cells no cell gets more than (N + 1) / cells, so that even certain
    outcomes cost at least log(cells / (N + 1)) nats: the price of smoothness. From
    cells - 1 frequencies on, the head can express any distribution and no longer prefers smooth
    ones. Outcomes without an order (words) are better served by LinearHead.

    Both ends of the range are neighbors, and no outcome can have a spike. For data with ends, such
    as actions between two bounds, use `ends=even`; where outcomes lie exactly on a bound, or on
    other values, add `atoms`.

    The authors' weights load under the names that they have there.

    Args:
        dim: Width of the hidden states, D. There are 2(N + 1)(D + 1) parameters per component, and
            (A + 1)(D + 1) more with A atoms.
        support: What can be predicted.
        frequencies: N, at least 1.
        bins: Cells that an interval is divided into, or a binning; if not given, its density is
            the distribution.
        eps: Added to every cell's probability before the logarithm, at least 0. The authors use
            1e-5, which takes cells * eps / (1 + cells * eps) of the probability.
        init: Initialization: `uniform` close to the uniform distribution, `official` at
            random distributions as in the authors' code (weights and biases are divided by 100,
            which no distribution depends on).
        mass: What the probability of a cell is: the density at the `center` of one of as many
            equal cells, normalized, as in the paper also where cells are not equal; or the
            `exact` integral over the cell, which costs a few times as much.
        specials: Number of tokens, the first ones, that are outside the order (padding, end
            of sequence). They get logits of their own beside one for all others, (specials + 1)
            (D + 1) more parameters.
        projection: Layer in front of the linear map to the coefficients, for example `FanLayer`;
            None for none.
        warp: Monotone map for outcomes without bounds, `TanhWarp` or `ErfWarp`. The interval's
            middle goes to z = 0 and its half width is the unit of the map; no
            outcome is impossible then.
        ends: Whether the density continues beyond the ends of the range `periodic`, so that they
            are neighbors, or `even`, mirrored, so that they are none. Waves are half as fast then:
            N is that of a range twice as long.
        atoms: Outcomes with a probability of their own beside the density, as learned logits:
            `bounds` for both ends of the range, or a list of values or tokens, increasing. With
            bins, and over tokens, the cell that holds it gets the mass of an atom; without, the
            distribution is mixed, and its nats are of masses at atoms and of a density elsewhere,
            which compare between heads with the same atoms only; `nll_of_cells` compares all.

    Raises:
        ValueError: If `frequencies` is below 1, `eps` negative or given where there are no cells,
            `init`, `mass` or `ends` unknown, `bins` given for a support that has its cells
            already, `specials` for other supports than tokens or for all of them, `warp` for other
            supports than intervals without bins or with even ends, or `atoms` are none, outside
            the support, not increasing or two in one cell.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), algorithm 1; its autocorrelation is
        replaced by the equal squared modulus, which has no cancellation. `warp` is that of De la
        Fuente et al., "Fourier Basis Density Model" (arXiv:2402.15345).
    """

    def __init__(
        self,
        dim: int,
        support: Support,
        frequencies: int = 64,
        bins: int | Binning | None = None,
        eps: float = 0.0,
        init: Literal["uniform", "official"] = "uniform",
        mass: Literal["center", "exact"] = "center",
        specials: int = 0,
        projection: ProjectionFactory | None = None,
        warp: WarpFactory | None = None,
        ends: Literal["periodic", "even"] = "periodic",
        atoms: Literal["bounds"] | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        frequencies = count(frequencies, "FourierHead: frequencies")
        if frequencies < 1:
            raise ValueError(
                f"FourierHead: frequencies={frequencies}; it needs at least 1 beside the constant."
            )
        if init not in ("uniform", "official"):
            raise ValueError(f"FourierHead: init={init!r} is neither 'uniform' nor 'official'.")
        self.support = support
        whole = isinstance(support, Interval) and bins is None
        self.cells = support if whole else support.divide(bins)
        self.reading = reading(self.cells, eps, mass, specials, warp, ends, atoms)
        start = [1.0, *(0.0,) * (2 * frequencies + 1), *self.reading.logits]
        self.outputs = len(start)
        before = [] if projection is None else [projection(dim=dim)]
        last = (
            _Random(dim, math.prod(support.shape) * self.outputs)
            if init == "official"
            else PresetLinear(dim, start * math.prod(support.shape))
        )
        self.projection = nn.Sequential(*before, last) if before else last
        self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call] # torch's
            _accept_official_names
        )

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        outputs = self.projection(hidden).unflatten(-1, (*self.support.shape, self.outputs))
        return self.reading.distribution(outputs)


class _Random(nn.Linear):
    """The initialization of the authors: a usual linear layer, divided by 100."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.weight.div_(100)
            self.bias.div_(100)


def _accept_official_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Renames the parameters of the authors' layer before they are loaded."""
    for name in ("weight", "bias"):
        value = state.pop(f"{prefix}{OFFICIAL_NAME}{name}", None)
        if value is not None:
            state[f"{prefix}projection.{name}"] = value
