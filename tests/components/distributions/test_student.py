"""Student's t against scipy, far into both tails and for many degrees of freedom."""

import pytest
import scipy.stats
import torch
from every_distribution import tensor
from torch.distributions import Normal

from components.distributions import Censored, Mixture, StudentT, student
from components.distributions.tails import log_tails
from tests.waiting import Waits

DF = tensor(0.3, 1.0, 2.1, 5.5, 30.0, 1e3, 3e3, 1e6).unsqueeze(-1)


def standard(dtype=torch.float64):
    return StudentT(DF.to(dtype), torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype))


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
def test_distribution_function_is_scipys(dtype, rtol):
    t = tensor(-1e4, -50.0, -8.0, -3.0, -1.0, -0.1, -1e-6, 0.0, 1e-4, 0.5, 2.0, 7.0, 30.0)
    expected = torch.from_numpy(scipy.stats.t.cdf(t.numpy(), DF.numpy()))
    got = standard(dtype).cdf(t.to(dtype)).double()
    keep = expected > torch.finfo(dtype).tiny
    torch.testing.assert_close(got[keep], expected[keep], rtol=rtol, atol=0)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
def test_quantiles_are_scipys(dtype, rtol):
    u = torch.tensor([1e-6, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99], dtype=dtype)
    rounded = DF.to(dtype).double()
    expected = torch.from_numpy(scipy.stats.t.ppf(u.double().numpy(), rounded.numpy()))
    got = standard(dtype).icdf(u).double()
    torch.testing.assert_close(got, expected, rtol=rtol, atol=1e-12)


def test_log_density_keeps_its_digits_for_many_degrees_of_freedom():
    df, t = torch.tensor([3.0, 1e3, 1e5]), torch.tensor([0.5, -2.0, 3.0])
    distribution = StudentT(df, torch.zeros(3), torch.ones(3))
    expected = torch.from_numpy(scipy.stats.t.logpdf(t.double().numpy(), df.double().numpy()))
    torch.testing.assert_close(distribution.log_prob(t).double(), expected, atol=1e-5, rtol=0)


def test_certain_levels_have_no_finite_quantile():
    distribution = StudentT(tensor(3.0), tensor(0.0), tensor(1.0))
    assert distribution.icdf(tensor(0.0)).isneginf().all()
    assert distribution.icdf(tensor(1.0)).isposinf().all()


def test_all_mass_lies_between_the_infinities():
    scale = tensor(2.0).requires_grad_()
    found = StudentT(tensor(0.1), tensor(1.0), scale).cdf(tensor(-torch.inf, torch.inf))
    assert found.tolist() == [0.0, 1.0]
    found.sum().backward()
    assert scale.grad.tolist() == [0.0]


@pytest.mark.parametrize(
    "distribution",
    [
        StudentT(tensor(3.0), tensor(1.0), tensor(2.0)),
        Normal(tensor(1.0), tensor(2.0)),
        Mixture(tensor(0.0, 1.0), tensor(0.0, 1.0), tensor(1.0, 2.0)).expand((1,)),
    ],
    ids=lambda distribution: type(distribution).__name__,
)
def test_logarithms_of_tails_reach_to_the_infinities(distribution):
    ends = tensor(-torch.inf, torch.inf).unsqueeze(-1)
    below, above = log_tails(distribution, ends)
    assert below.flatten().tolist() == [-torch.inf, 0.0]
    assert above.flatten().tolist() == [0.0, -torch.inf]


def test_what_is_no_probability_has_no_quantile():
    distribution = StudentT(tensor(3.0), tensor(0.0), tensor(1.0))
    levels = tensor(torch.nan, 1.3, -0.2, 0.5)
    for each in (distribution, Censored(distribution, -1.0, 1.0)):
        assert each.icdf(levels).isnan().tolist() == [True, True, True, False]


def test_gradient_at_the_center_is_finite():
    df, x = tensor(3.0).requires_grad_(), tensor(0.0).requires_grad_()
    distribution = StudentT(df, tensor(0.0), tensor(1.0))
    (distribution.cdf(x) + distribution.icdf(tensor(0.5))).sum().backward()
    assert df.grad.isfinite().all()
    torch.testing.assert_close(x.grad, distribution.log_prob(x).exp().detach())


def test_making_the_distribution_reads_no_value():
    distribution = StudentT(
        *torch.empty(3, 4, device="meta")
    )  # a look at `df` would be an error here
    assert distribution.rsample((2,)).shape == (2, 4)


def test_a_missing_value_costs_no_more_than_a_known_one(monkeypatch):
    """Iterations stop when all known values have converged, as NaN never does."""
    calls, kept = [], student._away_from_zero
    monkeypatch.setattr(student, "_away_from_zero", lambda value: calls.append(1) or kept(value))
    distribution = StudentT(torch.tensor([3.0, 3.0]), torch.zeros(2), torch.ones(2))
    counts = []
    for values in ([0.3, 0.3], [0.3, torch.nan]):
        calls.clear()
        distribution.cdf(torch.tensor(values))
        distribution.icdf(torch.tensor(values))
        counts.append(len(calls))
    assert counts[1] <= counts[0]


@pytest.fixture
def waited_for(monkeypatch):
    """Computes as on a device that is waited for whenever numbers are read."""

    class Waiting(student.Looks):
        def __init__(self, like):
            super().__init__(like)
            self.waits = True

    return lambda: monkeypatch.setattr(student, "Looks", Waiting)


def scored(df, t, level):
    """All that is computed by iterations, and its gradient to the degrees of freedom."""
    df = df.clone().requires_grad_()
    distribution = StudentT(df, torch.zeros_like(df), torch.ones_like(df))
    found = [distribution.cdf(t), distribution.icdf(level), *distribution.log_tails(t)]
    return [*found, *torch.autograd.grad([x.sum() for x in found], df)]


@pytest.mark.parametrize("df", [0.01, 0.3, 1.0, 2.5, 6.0, 30.0, 300.0, 3e3, 1e5])
def test_fewer_looks_give_the_same_numbers(df, waited_for):
    df = torch.full((1,), df, dtype=torch.float64)
    t = torch.cat([tensor(0.0), torch.logspace(-5, 5, 401, dtype=torch.float64)]).unsqueeze(1)
    level = torch.logspace(-12, -0.302, 200, dtype=torch.float64).unsqueeze(1)
    expected = scored(df, t, level)
    waited_for()
    torch.testing.assert_close(scored(df, t, level), expected, rtol=1e-11, atol=1e-13)


def test_a_device_is_seldom_waited_for(waited_for):
    """And for no more work than a look after each iteration makes."""
    df = torch.linspace(2, 12, 6).requires_grad_()
    level = torch.linspace(0.1, 0.9, 9).unsqueeze(1)
    reads, operations = [], []
    for prepare in (lambda: None, waited_for):
        prepare()
        with Waits() as waits:
            StudentT(df, torch.zeros(6), torch.ones(6)).icdf(level).sum().backward()
        reads.append(waits.read)
        operations.append(sum(waits.counts.values()))
    assert reads[1] < reads[0] / 3
    assert operations[1] <= 1.1 * operations[0]
