"""Truth: what recorded actions were drawn from, and how a constant prediction of it scores."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from components.distributions.categorical import Categorical
from components.metrics.divergences import kl
from components.supports import Interval, Tokens

Integers = NDArray[np.int64]


def true_distribution(chances: Tensor, support: Tokens | Interval) -> Distribution:
    """Makes the distributions that actions were drawn from.

    Args:
        chances: Probabilities of the choices of the support, `[..., K]`, or of equal cells of its
            interval, `[..., *support.shape, K]`.
        support: The possible actions.

    Returns:
        Distributions of batch shape `[...]`: over choices, or constant in each cell.
    """
    drawn = Categorical(chances.log())
    match support:
        case Tokens():
            return support.distribution(drawn, chances.device)
        case Interval():
            return support.divide(chances.shape[-1]).distribution(drawn, chances.device)


def kl_of_constant(
    known: NDArray[np.float32], held_out: NDArray[np.float32], support: Tokens | Interval
) -> float:
    """Computes the mean KL divergence of one prediction for all steps, which sees nothing.

    It is the average of the distributions in training, which no constant beats there.

    Args:
        known: Probabilities at the training steps, `[N, *support.shape, K]`.
        held_out: Those to predict, `[M, *support.shape, K]`.
        support: The possible actions.

    Returns:
        Nats, averaged over the M steps.
    """
    constant = torch.from_numpy(known.mean(0, dtype=np.float64))
    truth = true_distribution(torch.from_numpy(held_out).double(), support)
    prediction = true_distribution(constant.expand(held_out.shape), support)
    return kl(truth, prediction).mean().item()


def steps_of(first: Integers, length: Integers) -> Integers:
    """Lists the steps of episodes, given where each begins and how long it is, `[N]`."""
    within = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
    steps: Integers = np.repeat(first, length) + within
    return steps
