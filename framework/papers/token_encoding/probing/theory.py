"""Averaged probabilities predicted from moments of hidden states, without any fit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framework.analysis.least_squares import parts
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.statistics import Statistics


class Agreement(NamedTuple):
    """How well a prediction fits a target."""

    r2: float
    correlation: float


def first_order(own: Readout, statistics: Statistics) -> Tensor:
    r"""Predicts -log alpha without its bias: linear in the rows, `[V]` float64.

    .. math:: -\log \alpha_w + b_w \approx -\bar h \cdot E_w + \overline{\log Z}

    By Jensen's inequality it is never too small.

    Source: first cumulant of the logits of a token over contexts, Z taken for independent of it.
    """
    mean, _ = _moments(own, statistics)
    return statistics.log_z - mean


def second_order(own: Readout, statistics: Statistics) -> Tensor:
    r"""Predicts as `first_order` does, less half the variance of the logit over contexts.

    .. math:: -\log \alpha_w + b_w \approx -\bar h \cdot E_w + \overline{\log Z}
              - \tfrac{1}{2} \mathrm{Var}_x (E_w \cdot h_x)

    Logits that follow a normal distribution over contexts would make it exact, if Z were constant.

    Source: second cumulant.
    """
    mean, variance = _moments(own, statistics)
    return statistics.log_z - mean - variance / 2


def agreement(target: Tensor, predicted: Tensor) -> Agreement:
    """Compares a prediction with a target, `[N]` each."""
    r2 = 1 - (target - predicted).square().mean() / target.var(correction=0)
    correlation = torch.corrcoef(torch.stack((target, predicted)))[0, 1]
    return Agreement(float(r2), float(correlation))


def _moments(own: Readout, statistics: Statistics) -> tuple[Tensor, Tensor]:
    """Returns mean and variance over contexts of the logit of each token, without its bias."""
    means, variances = [], []
    for part in parts(own.weight):
        rows = part.cpu()
        means.append(rows @ statistics.mean)
        variances.append(((rows @ statistics.covariance) * rows).sum(1))
    return torch.cat(means), torch.cat(variances)
