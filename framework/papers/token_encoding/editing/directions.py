"""Directions: what to add to a row of the read-out so that the logit of its token rises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from framework.papers.token_encoding.probing.probe import probe
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.statistics import Statistics

RIDGE = 1e-5  # of the covariance in `whiten`, times its mean variance
GAINS = (0.8, 1.25)  # of a direction that delivers nearly what it promises
NULL = 1e-10  # share of the largest variance below which nothing varies but rounding errors
SHORT = 1e-5  # share of what is read, in the root mean square, below which a constant is rounding
PAPER: Final = "mlr"  # the rule of the paper, taken literally


@dataclass(frozen=True, eq=False)
class Known:
    """What directions are computed from: moments of hidden states, and the slope; on the CPU.

    Args:
        mean: Of what is read, `[D]` float64.
        covariance: Its covariance over contexts, `[D, D]` float64.
        slope: Computes the slope `[D]` of -log alpha over rows, or raises a ValueError
            with the reason why there is none.
        positions: Number of these contexts.
        dtype: In which the rows are stored.
    """

    mean: Tensor
    covariance: Tensor
    slope: Callable[[], Tensor]
    positions: int
    dtype: torch.dtype


class LogitShift(NamedTuple):
    """Change of a row of the read-out, or of its bias, per nat.

    The logit of the token rises by `h · row + bias` in a context: by one nat on average, if the
    direction delivers what it promises.
    """

    row: Tensor  # [D] float64
    bias: float = 0.0

    def profile(self, hidden: Tensor) -> Tensor:
        """Returns by how much a logit rises in each context, `[N]`, of what is read `[N, D]`."""
        return hidden.double() @ self.row + self.bias

    def gain(self, mean: Tensor) -> float:
        """Returns the mean rise over contexts whose mean is `[D]`."""
        return float(mean @ self.row) + self.bias


def mlr(known: Known) -> LogitShift:
    r"""Moves a row along the slope of the regression over tokens: the paper's rule, literally.

    .. math:: \Delta E = -A / \|A\|^2

    solves its linear model, A · ΔE = -1, by the smallest change. The slope describes how
    rows differ, not the effect of moving one row, so that less than a nat is delivered.

    Source: Cho et al. (arXiv:2406.01468), the rule for editing. How the paper inverts A and weighs
        dimensions is not known to us; this is the pseudo-inverse.
    """
    slope = known.slope()
    return LogitShift(-slope / slope.square().sum())


def mlr_gain(known: Known) -> LogitShift:
    r"""Moves a row along the same slope, as far as the mean shift is one nat.

    .. math:: \Delta E = -A / (-A \cdot \bar h)
    """
    slope = known.slope()
    return LogitShift(slope / (slope @ known.mean))


def hbar(known: Known) -> LogitShift:
    r"""Moves a row along the mean of what is read: the slope that theory expects.

    .. math:: \Delta E = \bar h / \|\bar h\|^2
    """
    return LogitShift(known.mean / known.mean.square().sum())


def whiten(known: Known) -> LogitShift:
    r"""Shifts the logit by one nat on average, and by nearly as much in every context.

    .. math:: \Delta E = C_l^{-1} \bar h / (\bar h \cdot C_l^{-1} \bar h), \quad
        C_l = C + l \tfrac{\operatorname{tr} C}{d} I

    Of all changes with that mean shift it has the least variance over contexts, but for l, which
    keeps the change short: the less l, the longer the change and the more even the shift. l is
    1e-5, or what the type of the rows resolves if that is more, as rounding grows with the change.
    """
    size = len(known.mean)
    share = max(RIDGE, torch.finfo(known.dtype).eps)
    ridge = share * known.covariance.trace() / size * torch.eye(size, dtype=torch.float64)
    solved = torch.linalg.solve(known.covariance + ridge, known.mean)
    return LogitShift(solved / (known.mean @ solved))


def ln_exact(known: Known) -> LogitShift:
    r"""Shifts the logit by one nat in every context, along a direction in which nothing varies.

    .. math:: \Delta E = u / (u \cdot \bar h), \quad C u = 0

    with C the covariance. Behind a LayerNorm with gains g and biases b there is one,
    :math:`u_i = 1 / g_i`: a centered state adds up to zero, and :math:`\sum_i h_i / g_i` to
    :math:`\sum_i b_i / g_i`. Of several directions that of the shortest change is taken. Where
    biases are small, the change is many times as long as the row.

    Raises:
        ValueError: If what is read varies in all directions, or is zero where it does not, too few
            contexts were read to know, or rows are stored too coarsely.
    """
    values, vectors = torch.linalg.eigh(known.covariance)
    flat = vectors[:, values <= NULL * values[-1]]
    constant = flat.T @ known.mean
    size = (known.covariance.trace() + known.mean.square().sum()).sqrt()
    if known.positions < 2 * len(values) or not constant.norm() > SHORT * size:
        raise ValueError(
            "ln-exact needs a vector whose product with all that the read-out reads is the same, "
            "as a last LayerNorm with a bias other than zero gives right in front of LinearHead, "
            "and this model has none; use whiten or bias."
        )
    if torch.finfo(known.dtype).eps > torch.finfo(torch.float32).eps:
        raise ValueError(
            f"ln-exact changes rows by many times their length, which {known.dtype} would round "
            "to something else; use whiten or bias."
        )
    return LogitShift(flat @ constant / constant.square().sum())


def offset(known: Known) -> LogitShift:
    """Adds to the bias of the token; a read-out without one gets one of zeros."""
    return LogitShift(torch.zeros_like(known.mean), 1.0)


Direction = Callable[[Known], LogitShift]
DirectionName = Literal["whiten", "mlr", "mlr-gain", "hbar", "ln-exact", "bias"]

DIRECTIONS: dict[DirectionName, Direction] = {
    "whiten": whiten,
    "mlr": mlr,
    "mlr-gain": mlr_gain,
    "hbar": hbar,
    "ln-exact": ln_exact,
    "bias": offset,
}


def know(
    own: Readout,
    statistics: Statistics,
    dtype: torch.dtype,
    size: int | None = None,
) -> Known:
    """Collects what directions are computed from.

    Args:
        own: The read-out.
        statistics: Its statistics over contexts.
        dtype: In which the rows are stored.
        size: Of the vocabulary without the tokens that fill it up; None for all.
    """

    @cache
    def slope() -> Tensor:
        return probe(own, statistics, known=size).regression.slope

    return Known(statistics.mean, statistics.covariance, slope, statistics.positions, dtype)


def applicable(
    known: Known,
) -> tuple[dict[DirectionName, LogitShift], dict[str, str]]:
    """Makes all directions that there are for a model.

    Args:
        known: What directions are computed from.

    Returns:
        What each changes per nat, and why others do not apply, by name.
    """
    directions: dict[DirectionName, LogitShift] = {}
    refused: dict[str, str] = {}
    for name, direction in DIRECTIONS.items():
        try:
            directions[name] = direction(known)
        except ValueError as error:
            refused[name] = str(error)
    return directions, refused
