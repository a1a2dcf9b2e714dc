"""What parameters that are NaN give is NaN, row by row, or one error: never a number."""

import pytest
import torch
from every_distribution import DISCRETE, MIXED, REAL, discrete, real, statistics
from torch.distributions import Normal

from components.distributions import FourierCategorical

VALUES = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
INDICES = torch.tensor([1, 2, 3])


def spoil(distribution, row=1):
    """Sets the parameters of one row to NaN."""
    names = ("loc", "scale") if type(distribution) is Normal else distribution.rows
    for part in (getattr(distribution, name) for name in names):
        if isinstance(part, torch.Tensor):
            part[row] = torch.nan
        else:
            spoil(part, row)
    return distribution


@pytest.mark.parametrize("name", [*REAL, *MIXED])
def test_a_row_of_nan_stays_one(name):
    distribution = spoil(real(name, 3))
    for found in (*statistics(distribution, VALUES), distribution.mode, distribution.icdf(VALUES)):
        assert found.isnan().tolist() == [False, True, False]


# A mixture draws the number of a component first; torch draws no number with such a deviation.
REFUSED = ["Mixture", "Affine(Mixture)", "Censored(Mixture)", "Normal", "Censored(Normal)"]


@pytest.mark.parametrize("name", sorted({*REAL, *MIXED} - {*REFUSED}))
def test_draws_are_nan(name):
    drawn = spoil(real(name, 3)).sample((50,)).isnan()
    assert drawn.all(0).tolist() == drawn.any(0).tolist() == [False, True, False]


@pytest.mark.parametrize("name", REFUSED)
def test_draws_are_refused(name):
    with pytest.raises((ValueError, RuntimeError), match=r"they are NaN|elements of std >= 0\.0"):
        spoil(real(name, 3)).sample((50,))


@pytest.mark.parametrize("name", DISCRETE)
def test_outcomes_have_no_probability_and_are_not_drawn(name):
    distribution = spoil(discrete(name, 3))
    for found in statistics(distribution, INDICES):
        assert found.isnan().tolist() == [False, True, False]
    assert distribution.probs.isnan().all(-1).tolist() == [False, True, False]
    for draws in (1, 50):
        with pytest.raises(ValueError, match="no probabilities to draw an outcome by"):
            distribution.sample((draws,))


def test_nor_is_one_of_many_cells():
    """Of so many, a few draws do not compute the probabilities of all."""
    distribution = FourierCategorical(torch.full((2, 40), torch.nan), 4094)
    assert distribution.draws_alone(1)
    with pytest.raises(ValueError, match="no probabilities to draw an outcome by"):
        distribution.sample()
