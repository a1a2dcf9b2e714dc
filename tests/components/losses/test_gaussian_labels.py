"""HL-Gauss against scipy's integrals, its limits, and units."""

import numpy as np
import pytest
import torch
from scipy import stats

from components.distributions import Affine, Categorical, Histogram
from components.losses import HLGauss, NegativeLogLikelihood
from components.losses.gaussian_labels import gaussian_label

F64 = torch.float64
SIZE, LOW, WIDTH = 8, -1.0, 0.25


def even(raw):
    return Histogram(
        Categorical(raw), torch.linspace(LOW, LOW + SIZE * WIDTH, SIZE + 1, dtype=F64)
    )


def uneven(raw):
    edges = torch.tensor([0.0, 0.5, 0.6, 1.0, 3.0, 3.1, 3.3, 4.0, 9.0], dtype=F64)
    return Histogram(Categorical(raw), edges)


def logits(*shape):
    return torch.randn(*shape, SIZE, dtype=F64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.3, 0.75, 4.0])
def test_labels_are_the_masses_of_a_normal_distribution(sigma):
    """Also of targets beyond the ends, whose own cells are the end cells."""
    targets = torch.tensor([-5.0, -1.1, -1.0, -0.87, 0.0, 0.33, 0.99, 1.0, 1.2, 4.0], dtype=F64)
    raw = logits(len(targets))
    edges = LOW + WIDTH * np.arange(SIZE + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    below = stats.norm.cdf(edges, targets.numpy()[:, None], sigma * WIDTH)
    label = torch.from_numpy(np.diff(below))
    expected = -(label * (raw.log_softmax(-1) - np.log(WIDTH))).sum(-1)
    torch.testing.assert_close(HLGauss(sigma)(even(raw), targets), expected)


def test_one_unit_is_a_cell_wherever_cells_are_not_equal():
    """A target a third into a cell has the label of one a third into an even cell."""
    raw = logits(3, 2)
    inner = torch.tensor([[0.6 + 0.4 / 3], [3.0 + 0.1 / 3], [3.3 + 0.7 / 3]], dtype=F64)
    same = torch.tensor([[2 + 1 / 3], [4 + 1 / 3], [6 + 1 / 3]], dtype=F64)
    unit = Histogram(Categorical(raw), torch.arange(SIZE + 1, dtype=F64))
    label = gaussian_label(same.long(), same % 1, SIZE, 0.75)
    constant = (label * uneven(raw).widths.log()).sum(-1)  # what the widths add
    found = HLGauss()(uneven(raw), inner.expand(3, 2))
    torch.testing.assert_close(found, HLGauss()(unit, same.expand(3, 2)) + constant)


@pytest.mark.parametrize("make", [even, uneven])
def test_narrow_labels_are_the_likelihood(make):
    raw = logits(50)
    edges = make(raw).edges
    middles = make(raw).midpoints[torch.arange(50) % SIZE]
    for targets in (middles, edges[0] - 2.0 - middles.abs(), edges[-1] + 2.0 + middles.abs()):
        expected = NegativeLogLikelihood()(make(raw), targets)
        torch.testing.assert_close(HLGauss(0.01)(make(raw), targets), expected)


def test_wide_labels_put_half_into_either_end():
    raw = logits(4)
    ends = even(raw).cells.log_probs[:, [0, -1]].mean(-1) - np.log(WIDTH)
    found = HLGauss(1e9)(even(raw), torch.zeros(4, dtype=F64))
    torch.testing.assert_close(found, -ends)


def test_a_prediction_that_is_the_label_is_best():
    """The cross-entropy has its minimum, the entropy of the label, there."""
    target = torch.tensor(0.3, dtype=F64)
    raw = torch.zeros(SIZE, dtype=F64, requires_grad=True)
    place = (target - LOW) / WIDTH
    label = gaussian_label(place.long(), place % 1, SIZE, 0.75)
    (slope,) = torch.autograd.grad(HLGauss()(even(raw), target), raw)
    torch.testing.assert_close(slope, raw.detach().softmax(-1) - label)
    best = HLGauss()(even(label.log()), target)
    torch.testing.assert_close(best, torch.special.entr(label).sum() + np.log(WIDTH))


def test_other_units_add_the_logarithm_of_the_scale():
    raw, targets = logits(6), torch.linspace(-2, 2, 6, dtype=F64)
    moved = Affine(uneven(raw), torch.tensor(5.0, dtype=F64), torch.tensor(20.0, dtype=F64))
    expected = HLGauss()(uneven(raw), targets) + np.log(20.0)
    torch.testing.assert_close(HLGauss()(moved, 5 + 20 * targets), expected)


def test_a_missing_target_has_no_value():
    assert HLGauss()(even(logits(1)), torch.tensor([torch.nan], dtype=F64)).isnan().all()


def test_a_label_without_width_is_refused():
    with pytest.raises(ValueError, match=r"^HLGauss: sigma=0[^\n]*\.$"):
        HLGauss(sigma=0)
