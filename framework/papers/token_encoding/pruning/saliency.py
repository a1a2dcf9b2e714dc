"""Saliency: how much each dimension of what a read-out reads counts, and the order it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from framework.analysis.regression import Regression
from framework.papers.token_encoding.probing.probe import probe
from framework.papers.token_encoding.pruning.orders import AxisOrder, Order, RotatedOrder
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.statistics import Statistics

SaliencyName = Literal[
    "absA_sd", "absA", "t", "energy", "energy_var", "random", "reverse", "rotated"
]
SALIENCIES: tuple[SaliencyName, ...] = get_args(SaliencyName)
PAPER: Final = "absA_sd"  # how we read "by the slope of the regression"
RANDOM: Final = "random"
REVERSE: Final = "reverse"
ROTATED: Final = "rotated"


class Saliency:
    """Scores dimensions of a read-out from its statistics; high scores are deleted last.

    With A the slope that predicts -log alpha from rows E, sd and var over tokens, h what is read:

    * `absA_sd`: |A_i| sd(E_i), which does not depend on how dimensions are scaled;
    * `absA`: |A_i|;
    * `t`: |A_i| over its standard error;
    * `energy`: var(E_i) mean(h_i²), what the logits lose by zeros, over tokens and contexts;
    * `energy_var`: var(E_i) Var(h_i), what they lose by the mean;
    * `random`: a permutation, of a seed;
    * `reverse`: the highest `absA_sd` first;
    * `rotated`: no dimensions, but directions; see `RotatedOrder`.

    All think in centered columns: one that is the same for all tokens moves no distribution and
    scores 0.

    Args:
        own: The read-out.
        statistics: Of its contexts.
        known: How many tokens there are, the first ones; None for all. Others fill up the matrix.

    Source: Cho et al., "Understanding Token Probability Encoding in Output Embeddings"
        (arXiv:2406.01468), who delete dimensions by the slope of the regression; whether they
        scale it is not known to us. Energies and directions are ours.
    """

    def __init__(self, own: Readout, statistics: Statistics, known: int | None = None) -> None:
        self.own, self.statistics, self.known = own, statistics, known

    def order(self, name: str, seed: int = 0) -> Order:
        """Returns the order in which dimensions are deleted.

        Args:
            name: One of `SALIENCIES`.
            seed: Of the random order.

        Raises:
            ValueError: If there is no such saliency, or too few tokens for a regression.
        """
        if name == ROTATED:
            return RotatedOrder(self.own.weight, self.statistics.covariance)
        if name not in SCORES:
            raise ValueError(
                f"prune: saliency={name!r} is none; choose one of {', '.join(SALIENCIES)}."
            )
        return AxisOrder(SCORES[name](self, seed))

    @cached_property
    def regression(self) -> Regression:
        """Of -log alpha on the rows, by `probe`."""
        return probe(self.own, self.statistics, known=self.known).regression

    @cached_property
    def deviation(self) -> Tensor:
        """Standard deviation over tokens of each column, `[D]` float64."""
        return self.own.weight[: self.known].cpu().double().std(0, correction=0)

    @property
    def slope(self) -> Tensor:
        """|A|, `[D]` float64."""
        return self.regression.slope.abs()

    @property
    def variance(self) -> Tensor:
        """Variance over contexts of each dimension of what is read, `[D]` float64."""
        return self.statistics.covariance.diagonal()


def _permutation(seed: int, dim: int) -> Tensor:
    return torch.randperm(dim, generator=torch.Generator().manual_seed(seed)).double()


SCORES: Mapping[str, Callable[[Saliency, int], Tensor]] = {
    PAPER: lambda known, _: known.slope * known.deviation,
    "absA": lambda known, _: known.slope,
    "t": lambda known, _: (known.slope / known.regression.standard_errors).nan_to_num(),
    "energy": lambda known, _: known.deviation**2 * (known.variance + known.statistics.mean**2),
    "energy_var": lambda known, _: known.deviation**2 * known.variance,
    RANDOM: lambda known, seed: _permutation(seed, len(known.deviation)),
    REVERSE: lambda known, _: -known.slope * known.deviation,
}
