"""Outcomes that cannot be end in one error on every path, and NaN never counts as a value."""

import pytest
import torch
from every_distribution import DISCRETE, MIXED, REAL, discrete, real

from components.distributions.scores import crps
from components.distributions.tensors import within

every_discrete = pytest.mark.parametrize("name", DISCRETE)


@every_discrete
@pytest.mark.parametrize("wrong", [-100, -1, 8, 10**9])
@pytest.mark.parametrize("rows", [3, 64])
@pytest.mark.parametrize("score", ["log_prob", "crps"])
def test_an_outcome_that_is_not_possible_is_an_error(name, wrong, rows, score):
    """Few rows and many, more than cells, are computed in different ways."""
    distribution, target = discrete(name, rows), torch.full((rows,), 2)
    target[1] = wrong
    scored = distribution.log_prob if score == "log_prob" else lambda y: crps(distribution, y)
    message = (
        rf"\w+: the outcome {wrong}(\.0)? at \[1\] is none of its 8, which are 0 to 7; correct"
    )
    for value in (target, target.int(), target.double()):
        with pytest.raises(ValueError, match=message):
            scored(value)
    samples = torch.stack([torch.full((rows,), 2), target])
    with pytest.raises(ValueError, match=rf"the outcome {wrong} at \[1, 1\] is none"):
        distribution.log_prob(samples)
    with pytest.raises(ValueError, match=rf"the outcome {wrong} is none"):
        distribution.log_prob(target[1])


@every_discrete
def test_nan_is_no_outcome(name):
    target = torch.tensor([1.0, torch.nan, 3.0])
    with pytest.raises(ValueError, match=r"the outcome nan at \[1\] is none of its 8"):
        discrete(name, 3).log_prob(target)
    assert discrete(name, 3).cdf(target).isnan().tolist() == [False, True, False]


@every_discrete
def test_a_number_between_outcomes_is_none(name, monkeypatch):
    target = torch.tensor([1.0, 1.7, 3.0])
    with pytest.raises(ValueError, match=r"the outcome 1\.7\d* at \[1\] is none of its 8"):
        discrete(name, 3).log_prob(target)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert discrete(name, 3).log_prob(target).isnan().tolist() == [False, True, False]


@every_discrete
def test_all_outcomes_lie_below_what_is_beyond_them(name):
    value = torch.tensor([-torch.inf, -1e20, 7.0, 1e20, torch.inf])
    found = discrete(name, 5).cdf(value)
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 1, 1, 1], dtype=found.dtype))


@every_discrete
def test_a_level_that_is_nan_has_no_quantile(name):
    with pytest.raises(ValueError, match=r"^\w+: a level is NaN, [^\n]*\.$"):
        discrete(name, 3).quantile(torch.tensor([0.5, torch.nan, 0.5]))


@pytest.mark.parametrize("name", [*REAL, *MIXED])
@pytest.mark.parametrize("function", ["log_prob", "cdf", "crps"])
def test_nan_is_no_value(name, function):
    distribution = real(name, 3)
    value = torch.tensor([torch.nan, 0.5, torch.nan], dtype=torch.float64)
    scored = crps(distribution, value) if function == "crps" else None
    found = getattr(distribution, function)(value) if scored is None else scored
    assert found.isnan().tolist() == [True, False, True]


def test_no_outcomes_are_no_error():
    index, inside = within(torch.zeros(0), 8, "Any")
    assert (index.shape, index.dtype, inside) == ((0,), torch.int64, None)


def test_other_devices_do_not_wait_for_a_check(monkeypatch):
    """There the result of a wrong outcome is NaN, and no index lies beyond a table."""
    value = torch.tensor([-1, 0, 7, 8, -100])
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    index, inside = within(value, 8, "Any")
    assert index.tolist() == [0, 0, 7, 7, 0]
    assert inside.tolist() == [False, True, True, False, False]
    for name in DISCRETE:
        distribution = discrete(name, 5)
        found = distribution.log_prob(value)
        assert found.isnan().tolist() == [True, False, False, True, True]
        assert crps(distribution, value).isnan().tolist() == found.isnan().tolist()
        every = distribution.log_probs[[1, 2], [0, 7]]
        torch.testing.assert_close(found[1:3], every)
