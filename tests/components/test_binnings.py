"""Cells and back: values are read as midpoints of their cells, never further than half a cell."""

import pytest
import torch

from components.binnings import MixedBins
from components.distributions import Categorical, Histogram
from components.supports import Bins, Interval, Tokens

CHRONOS = Interval(-15.0, 15.0)
BINNINGS = [4094, 4096, 7, MixedBins(4096), MixedBins(4094), MixedBins(20, -3.0, 2.5, 0.4)]
every_binning = pytest.mark.parametrize("bins", BINNINGS, ids=str)


@every_binning
def test_values_come_back_at_most_half_a_cell_away_and_without_bias(bins):
    cells = CHRONOS.divide(bins)
    values = torch.linspace(-15, 15, 300_001, dtype=torch.float64)
    index = cells.index(values)
    width = torch.tensor(cells.edges, dtype=torch.float64).diff()[index]
    error = cells.midpoint(index).double() - values
    assert (error.abs() <= width / 2 + 2e-6).all()
    assert error.mean().abs() < 1e-2 * width.mean()  # half a cell, were it a floor


@every_binning
def test_every_cell_is_found_from_its_midpoint(bins):
    cells = CHRONOS.divide(bins)
    every = torch.arange(cells.size)
    assert cells.index(cells.midpoint(every)).equal(every)


@every_binning
def test_edges_begin_a_cell_and_values_beyond_fall_into_the_ends(bins):
    cells = CHRONOS.divide(bins)
    edges = torch.tensor(cells.edges)
    assert cells.index(edges[:-1]).equal(torch.arange(cells.size))
    assert cells.index(torch.tensor([-1e9, 15.0, 1e9])).tolist() == [0, *[cells.size - 1] * 2]
    values = torch.linspace(-16, 16, 1001)
    distribution = Histogram(Categorical(torch.zeros(cells.size)), edges)
    assert distribution.index(values).equal(cells.index(values))


def test_mixed_cells_are_those_of_the_paper():
    """603 below -1 and 215 above 10, .0234 wide, 3278 between, .00336 wide."""
    cells = CHRONOS.divide(MixedBins())
    edges = torch.tensor(cells.edges, dtype=torch.float64)
    assert cells.size == 4096
    assert (edges < -1).sum() == 603
    assert ((edges >= -1) & (edges < 10)).sum() == 3278
    assert (edges > 10).sum() == 215
    assert (edges[0], edges[603], edges[3881], edges[-1]) == (-15, -1, 10, 15)
    widths = edges.diff()
    torch.testing.assert_close(
        widths[:603], torch.full((603,), 0.02322).double(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        widths[603:3881], torch.full((3278,), 0.00336).double(), atol=1e-5, rtol=0
    )


def test_a_fine_part_may_reach_to_an_end():
    cells = Interval(0.0, 10.0).divide(MixedBins(10, 0.0, 1.0, 0.3))
    assert cells.edges == pytest.approx((*(k / 7 for k in range(8)), 4.0, 7.0, 10.0))


def test_components_of_a_vector_are_divided_alike():
    assert Interval(-15.0, 15.0, (3,)).divide(MixedBins(64)).shape == (3,)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MixedBins(2), "size of at least 3"),
        (lambda: MixedBins(low=2.0, high=2.0), "low < high"),
        (lambda: MixedBins(share=1.0), "a share between 0 and 1"),
        (lambda: Interval(-0.5, 15.0).divide(MixedBins()), r"that is \[-0.5, 15.0\]; move low"),
        (lambda: Interval(-1.0, 10.0).divide(MixedBins()), "give a number of bins"),
        (lambda: CHRONOS.divide(MixedBins(5)), r"gives \(0, 5, 0\) cells .* raise size"),
        (lambda: Tokens(5).divide(MixedBins()), "drop bins=MixedBins"),
        (lambda: Bins((0.0, 1.0)).divide(MixedBins()), "drop bins=MixedBins"),
    ],
)
def test_mistakes_end_in_one_sentence(make, said):
    with pytest.raises(ValueError, match=said + r"[^\n]*\.$"):
        make()
