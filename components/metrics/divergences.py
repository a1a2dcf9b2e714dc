"""KL divergences of predictions from true distributions over choices or cells."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl

from components.distributions import Histogram
from components.distributions.categorical import Discrete
from components.distributions.expanding import Expandable
from components.distributions.vectors import add_components, components_of
from components.metrics.densities import CELLS, log_density


def kl(truth: Distribution, prediction: Distribution) -> Tensor:
    r"""Computes the Kullback-Leibler divergence of a prediction from a true distribution.

    .. math:: \mathrm{KL}(p \,\|\, q) = \int p(x) \log \frac{p(x)}{q(x)} \, dx

    It is the nats by which the expected negative log-likelihood of the prediction exceeds the
    entropy of the truth. Of choices it is a sum; of quantities that are truly equally likely
    within cells, the prediction may be any density, which is read at 512 or more values. That is
    exact where it is constant between them, as a histogram over the same cells is. Of
    vectors, the components' divergences are added. `torch.distributions.kl_divergence` gives the
    same.

    Args:
        truth: The true distribution p, over choices or over cells, batch shape `[...]`.
        prediction: The predicted distribution q of the same outcomes and batch shape.

    Returns:
        Nats, `[...]`, at least 0 but for rounding.

    Raises:
        TypeError: If the truth is neither over choices nor over cells.
    """
    nats = _of_each(components_of(truth), components_of(prediction))
    return add_components(nats, truth)


# so `torch.distributions.kl_divergence` finds it
register_kl(Expandable, Distribution)(kl)  # type: ignore[no-untyped-call]  # torch's


@singledispatch
def _of_each(truth: Distribution, prediction: Any) -> Tensor:
    raise TypeError(
        f"kl: the truth is a {type(truth).__name__}; give one over choices or over cells, or use "
        "`densities.measure` for a density."
    )


@_of_each.register
def _(truth: Discrete, prediction: Any) -> Tensor:
    return _expected(truth.probs, truth.log_probs - prediction.log_probs)


@_of_each.register
def _(truth: Histogram, prediction: Any) -> Tensor:
    values = _values(truth)
    read = log_density(prediction, values.flatten())
    inside = read.view(*read.shape[:-1], *values.shape).mean(-1)
    return _expected(truth.cells.probs, truth.cells.log_probs - truth.widths.log() - inside)


def _values(truth: Histogram) -> Tensor:
    """Spreads at least 512 values over the cells, evenly in each, `[K, n]`."""
    number = -(-CELLS // truth.cells.size)
    within = (torch.arange(number, device=truth.edges.device) + 0.5) / number
    return truth.edges[:-1, None] + truth.widths[:, None] * within


def _expected(probabilities: Tensor, values: Tensor) -> Tensor:
    """Averages values over outcomes `[..., K]`; those of the impossible may be infinite."""
    return torch.where(probabilities > 0, probabilities * values, 0).sum(-1)
