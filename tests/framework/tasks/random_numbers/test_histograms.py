"""Histograms and distinct numbers of samples, against numpy and sets."""

import numpy as np
import torch

from components.supports import Interval
from framework.tasks.random_numbers.histograms import cell_fractions, distinct, edges

BORDERS = edges(Interval(-1.0, 1.0), 20)


def test_shares_are_those_of_numpy():
    samples = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * 0.6
    found = cell_fractions(samples, BORDERS)
    for k in range(3):
        inside = samples[:, k][(samples[:, k] >= -1) & (samples[:, k] < 1)]
        counts, _ = np.histogram(inside.numpy(), np.linspace(-1, 1, 21))
        np.testing.assert_allclose(found[k], counts / 500, rtol=1e-6)


def test_written_numbers_lie_in_the_cell_that_they_open():
    written = torch.arange(-10, 10) / 10  # -1.0, -0.9, … 0.9 are all the lower borders
    torch.testing.assert_close(cell_fractions(written, BORDERS), torch.full((20,), 1 / 20))


def test_what_is_no_number_or_beyond_the_borders_is_nowhere():
    samples = torch.tensor([float("nan"), 1.0, -1.5, 0.05])
    assert cell_fractions(samples, BORDERS).sum() == 0.25


def test_distinct_numbers_are_counted_in_two_decimals():
    samples = torch.tensor([0.101, 0.099, 0.2, float("nan"), 0.2, float("nan"), -0.1])
    rows = torch.stack((samples, torch.full_like(samples, float("nan"))), 1)
    found = distinct(rows).tolist()
    known = {round(x, 2) for x in samples.tolist() if x == x}
    assert found == [len(known), 0]
