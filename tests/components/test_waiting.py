"""Each step makes no tensors of plain numbers: a GPU would wait until they are copied."""

import pytest
import torch
from torch.distributions import Laplace, Normal

from components.data import SeriesBatch
from components.distributions import Censored, TanhWarp, TransformedFourier
from components.distributions.tails import clipped_moments
from components.layers.readout import nats
from components.metrics.cells import nll_of_cells
from components.metrics.forecasting import score
from components.supports import Interval
from tests.waiting import Waits

BINS = Interval(-1.0, 1.0).divide(4)


def learned(*shape):
    return torch.rand(shape, requires_grad=True)


def read_out():
    return nats(learned(6, 8), learned(50, 8), None, torch.arange(6))


def censored():
    base = Normal(learned(5), learned(5), validate_args=False)
    return Censored(base, -1.0, 1.0).log_prob(torch.linspace(-2, 2, 5))


def cells():
    base = Normal(learned(5), learned(5), validate_args=False)
    return nll_of_cells(base, torch.linspace(-1, 1, 5), BINS)


def forecasts():
    past, target, one = torch.rand(2, 8), torch.rand(2, 4), torch.ones(2, 1)
    batch = SeriesBatch(past, past > 0, one, one, one, target, torch.ones_like(target))
    return torch.stack(
        [metric.numerator.sum() for metric in score(learned(2, 4, 9), batch).values()]
    )


def transformed():
    made = TransformedFourier(learned(5, 8), TanhWarp(), 0.0, 1.0)
    return made.mean + made.variance + made.entropy() + made.roughness


def clipped():
    mean, variance = clipped_moments(Laplace(learned(5), learned(5), False), -1.0, 1.0)
    return mean + variance


@pytest.mark.parametrize("compute", [read_out, censored, cells, forecasts, transformed, clipped])
def test_no_tensor_is_made_of_plain_numbers(compute):
    compute()  # what is made once
    with Waits() as waits:
        compute().sum().backward()
    assert waits.made == waits.read == 0
    assert waits.counts[torch.ops.aten._linalg_eigh] == 0  # of a rule of Gauss and Legendre
