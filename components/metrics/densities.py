"""How good predicted densities are: scores, and distances from the truth where it is known."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.distributions import FourierDensity, Histogram
from components.distributions.fourier.polynomial import angles, basis, powers
from components.distributions.scores import crps
from components.metrics.smoothness import smoothness_of
from components.supports import Interval

CELLS = 512  # of the range of the outcome, for the integral of the KL divergence and for figures
FINE = 1000  # cells that a density is read in by `read_cells`, as in the paper
FLOOR = 1e-10  # added to the predicted probability of a cell, as in the paper


class Cells(NamedTuple):
    """Probabilities of cells."""

    centers: Tensor  # [G]
    widths: Tensor  # [G], in the units of the centers
    log_masses: Tensor  # [..., G]


def measure(
    prediction: Any, target: Tensor, truth: Distribution | None, interval: Interval
) -> dict[str, Tensor]:
    """Measures predictions of outcomes whose distribution may be known.

    `kl` is the divergence of densities and compares between all heads. `kl_cells` is what the
    Fourier head's authors report: the divergence on the distribution's own cells, or on 1000 cells
    of a density, from the truth at their centers, with 1e-10 added to every probability. Where
    cells are not equally wide, a true probability is the density at the center times the width.

    Args:
        prediction: The predicted distribution, batch shape `[...]`.
        target: What happened, `[...]`.
        truth: The true distribution of the same batch shape, `None` if unknown.
        interval: Range of the outcome.

    Returns:
        Values `[...]` by name: CRPS and squared error of the mean; of distributions over cells
        also their smoothness and the squared errors of cells; with a truth also both divergences,
        in nats.
    """
    found = {
        "crps": crps(prediction, target),
        "squared_error": (prediction.mean - target).square(),
        **errors_of_cells(prediction, target),
    }
    if truth is not None:
        values, width = grid(interval, CELLS, target.device)
        predicted, true = log_density(prediction, values), log_density(truth, values)
        found["kl"] = divergence(true, predicted, width)
        found["kl_cells"] = divergence_of_cells(truth, read_cells(prediction, interval))
    return found


def divergence(truth: Tensor, predicted: Tensor, width: float) -> Tensor:
    r"""Integrates the KL divergence from a truth, within the range of a grid.

    .. math:: \int p(x) \log \frac{p(x)}{q(x)} \, dx

    Args:
        truth: Log-density of the truth at equally spaced values, `[..., G]`; normalized there.
        predicted: Log-density of the prediction, `[..., G]`.
        width: Distance of the values.

    Returns:
        Nats, `[...]`; not negative up to the error of the integral.
    """
    masses = truth.softmax(-1)
    return (masses * (truth.log_softmax(-1) - math.log(width) - predicted)).sum(-1)


def divergence_of_cells(truth: Distribution, cells: Cells) -> Tensor:
    r"""Computes the KL divergence :math:`\sum_j p_j \log(p_j / (q_j + 10^{-10}))`, in nats.

    Args:
        truth: The true distribution, batch shape `[...]`; its density at the centers, times the
            widths, gives the probabilities p up to a factor, with which their sum is 1.
        cells: The predicted probabilities q.
    """
    true = (log_density(truth, cells.centers) + cells.widths.log()).log_softmax(-1)
    floor = true.new_full((), math.log(FLOOR))
    return (true.exp() * (true - torch.logaddexp(cells.log_masses, floor))).sum(-1)


def total_variation(first: Tensor, second: Tensor) -> Tensor:
    r"""Measures the distance of two distributions over the same cells, from 0 to 1.

    .. math:: \tfrac12 \sum_k |p_k - q_k|

    The largest difference of the probabilities that the distributions give to any event made of
    cells. What masses lack to 1 lies in one more cell, beyond the others.

    Args:
        first: Masses of the cells, `[..., K]`, not negative; their sum is at most 1.
        second: Those of the other distribution, broadcastable.

    Returns:
        Distances, `[...]`.

    Source: Levin, Peres, Wilmer, "Markov Chains and Mixing Times", proposition 4.2.
    """
    beyond = (first.sum(-1) - second.sum(-1)).abs()
    return ((first - second).abs().sum(-1) + beyond) / 2


@singledispatch
def read_cells(distribution: Distribution, interval: Interval) -> Cells:
    """Returns masses of cells: its own, or 1000 of the interval, density times width."""
    values, width = grid(interval, FINE, distribution.mean.device)
    widths = torch.full_like(values, width)
    return Cells(values, widths, log_density(distribution, values) + math.log(width))


@read_cells.register
def _(distribution: Histogram, interval: Interval) -> Cells:
    return Cells(distribution.midpoints, distribution.widths, distribution.cells.log_probs)


@singledispatch
def errors_of_cells(distribution: Distribution, target: Tensor) -> dict[str, Tensor]:
    """Measures what only a distribution over cells has: nothing here.

    Of a histogram, its smoothness, and the squared distance between the middle of the target's
    cell and that of the mean cell, or of the most probable one.

    Args:
        distribution: The predicted distribution, batch shape `[...]`.
        target: What happened, `[...]`.
    """
    return {}


@errors_of_cells.register
def _(distribution: Histogram, target: Tensor) -> dict[str, Tensor]:
    middle = distribution.midpoints[distribution.index(target)]
    return {
        "squared_error_of_mean_cell": (
            distribution.midpoints[distribution.cells.mean.round().long()] - middle
        )
        ** 2,
        "squared_error_of_mode_cell": (distribution.midpoints[distribution.cells.mode] - middle)
        ** 2,
        "smoothness": smoothness_of(distribution),
    }


def grid(interval: Interval, cells: int, device: torch.device) -> tuple[Tensor, float]:
    """Returns the centers of equal cells of an interval, `[cells]`, and their width."""
    width = (interval.high - interval.low) / cells
    return interval.low + width * (torch.arange(cells, device=device) + 0.5), width


@singledispatch
def log_density(distribution: Distribution, values: Tensor) -> Tensor:
    """Returns log-densities `[..., G]` of batch shape `[...]` at values `[G]`."""
    column = values.view(-1, *[1] * len(distribution.batch_shape))
    densities: Tensor = distribution.log_prob(column.expand(-1, *distribution.batch_shape))
    return densities.movedim(0, -1)


@log_density.register
def _(distribution: Histogram, values: Tensor) -> Tensor:
    index = distribution.index(values)
    return distribution.cells.log_probs[..., index] - distribution.widths.log()[index]


@log_density.register
def _(distribution: FourierDensity, values: Tensor) -> Tensor:
    """All distributions share the values, so the polynomials are two products of matrices."""
    table = basis(angles(distribution.unit(values), distribution.terms))
    length = distribution.high - distribution.low
    return powers(distribution.coefficients, table).log() - math.log(length)
