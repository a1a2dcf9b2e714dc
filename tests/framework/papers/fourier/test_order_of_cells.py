"""Shuffled cells are nothing to a linear head, and much to a Fourier head: order is its prior."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.distributions import Distribution

from components.backbones import Perceptron
from components.heads import FourierHead, LinearHead
from components.losses import NegativeLogLikelihood
from components.stems import CellIndex, FeatureStem
from framework.data import DensityData
from framework.papers.fourier.groups import Candidate, Group
from framework.schedules import Constant
from framework.tasks.toy_densities import Gaussian, Process, Synthetic

BINS = 50
ORDER = np.random.default_rng(5).permutation(BINS)  # where each cell goes


class Moved(Distribution):
    """A distribution whose cells were permuted: a value has the density of where it came from."""

    def __init__(self, distribution):
        super().__init__(distribution.batch_shape, validate_args=False)
        self.distribution = distribution

    def log_prob(self, value):
        return self.distribution.log_prob(torch.from_numpy(move(value.numpy(), np.argsort(ORDER))))


class Shuffled(Process):
    def draw(self, generator, size):
        features, outcome = Gaussian().draw(generator, size)
        return features, move(outcome, ORDER)

    def truth(self, features):
        return Moved(Gaussian().truth(features))


def move(values, order):
    """Moves values with their cells of [-1, 1]; those beyond the ends go with the cells there."""
    cells = np.clip(np.floor((values + 1) * BINS / 2), 0, BINS - 1).astype(int)
    return (values + 2 / BINS * (order[cells] - cells)).astype(values.dtype)


def divergences(head, steps=500):
    """KL from the truth, in order and shuffled."""
    candidates = [
        Candidate(
            type(process).__name__, 1, DensityData(Synthetic(process, 2000), batch_size=32), head
        )
        for process in (Gaussian(), Shuffled())
    ]
    group = Group(
        "order",
        candidates,
        stem=partial(FeatureStem, scale=CellIndex),
        backbone=partial(Perceptron, dim=32, depth=1, hidden=64),
        losses={"nll": NegativeLogLikelihood},
        optimizer=partial(torch.optim.Adam, lr=0.002),  # at more, the loss has peaks
        schedule=Constant,
        clip=None,
    )
    results = group.train(steps).results
    return [result.value for result in results if result.metric == "kl_cells"]


def test_a_distribution_that_is_moved_twice_is_itself():
    values = np.linspace(-0.999, 0.999, 333)
    np.testing.assert_allclose(move(move(values, ORDER), np.argsort(ORDER)), values, atol=1e-12)


@pytest.mark.slow
def test_order_is_nothing_to_a_linear_head_and_all_to_a_fourier_head():
    linear, shuffled_linear = divergences(partial(LinearHead, bins=BINS))
    fourier, shuffled_fourier = divergences(
        partial(FourierHead, bins=BINS, frequencies=12, init="official")
    )
    assert shuffled_linear == pytest.approx(linear, rel=0.2)
    assert shuffled_fourier > 2 * fourier
