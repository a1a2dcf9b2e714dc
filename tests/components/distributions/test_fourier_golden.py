"""The Fourier distributions against golden values of the official layer and their identities."""

import json
import math
from pathlib import Path

import pytest
import torch
from every_distribution import randn, tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.distributions import FourierCategorical, FourierDensity, Histogram
from components.distributions.roughness import roughness

GOLDEN = json.loads(Path(__file__).with_name("fourier_head.json").read_text())["cases"]
cases = pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])


def distribution_of(case, dtype=torch.float64):
    coefficients = torch.tensor(case["coefficients"], dtype=dtype, requires_grad=True)
    return coefficients, FourierCategorical(coefficients, case["n_bins"], case["eps"])


@cases
def test_golden_float64(case):
    coefficients, distribution = distribution_of(case)
    close = {"atol": 1e-9, "rtol": 0}
    torch.testing.assert_close(distribution.logits, _double(case, "logits"), **close)
    eps, size = case["eps"], case["n_bins"]
    torch.testing.assert_close(
        distribution.probs * (1 + size * eps) - eps, _double(case, "pmf"), **close
    )
    loss = -distribution.log_prob(torch.tensor(case["target"]))
    torch.testing.assert_close(loss, _double(case, "ce").view(1), **close)
    loss.sum().backward()
    torch.testing.assert_close(coefficients.grad[0], _double(case, "grad_b_of_ce"), **close)


@cases
def test_golden_float32(case):
    coefficients, distribution = distribution_of(case, torch.float32)
    golden = torch.tensor(case["official_fp32"]["logits"])
    error = (distribution.logits - golden).abs()
    assert (error <= torch.where(golden > -6, 1e-5, 2e-4)).all()
    loss = -distribution.log_prob(torch.tensor(case["target"]))
    assert loss.item() == pytest.approx(case["official_fp32"]["ce"], abs=1e-5)
    loss.sum().backward()
    torch.testing.assert_close(
        coefficients.grad[0], torch.tensor(case["official_fp32"]["grad_b"]), rtol=1e-4, atol=1e-5
    )


def _double(case, key):
    return torch.tensor(case["float64"][key], dtype=torch.float64)


def test_golden_density():
    case = GOLDEN[0]
    distribution = FourierDensity(torch.tensor(case["coefficients"], dtype=torch.float64), -1, 1)
    mle = case["float64"]["mle"]
    z = tensor(*mle["z"]).unsqueeze(-1)
    torch.testing.assert_close(
        distribution.log_prob(z).exp()[:, 0], tensor(*mle["density"]), atol=1e-7, rtol=0
    )
    torch.testing.assert_close(distribution.cdf(z)[:, 0], tensor(*mle["cdf"]), atol=1e-7, rtol=0)
    c = torch.complex(_double(case, "c_re"), _double(case, "c_im"))
    torch.testing.assert_close(
        distribution.correlations, c[:, 1:] / c[:, :1].real, atol=1e-9, rtol=0
    )
    penalty = (
        4 * c[0, 0].real.square() * roughness(distribution)
    )  # the official one weighs with the scale
    torch.testing.assert_close(penalty[0], _double(case, "reg_official_gamma1"), atol=1e-6, rtol=0)


def modulus(coefficients, z):
    """The defining sum, term by term."""
    real, imaginary = coefficients.chunk(2, -1)
    total = sum(
        torch.complex(real[..., k], imaginary[..., k])
        * torch.exp(1j * math.pi * k * z.to(torch.complex128))
        for k in range(real.shape[-1])
    )
    return total.abs().square()


def centers(size):
    return (2 * torch.arange(size, dtype=torch.float64) + 1 - size) / size


@pytest.mark.parametrize(("frequencies", "size"), [(1, 2), (3, 7), (12, 50), (17, 18), (40, 257)])
def test_closed_normalizer_is_the_sum(frequencies, size):
    a = randn(3, 2 * (frequencies + 1))
    values = torch.stack([modulus(row, centers(size)) for row in a])
    norm = a.square().sum(-1, keepdim=True)
    torch.testing.assert_close(values.sum(-1, keepdim=True), size * norm, rtol=1e-12, atol=0)
    distribution = FourierCategorical(a, size)
    torch.testing.assert_close(distribution.probs, values / (size * norm), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("frequencies", "size"), [(18, 18), (20, 18), (61, 18), (20, 7), (5, 1)])
def test_aliased_frequencies_are_normalized_explicitly(frequencies, size):
    a = randn(3, 2 * (frequencies + 1))
    values = torch.stack([modulus(row, centers(size)) for row in a])
    distribution = FourierCategorical(a, size)
    torch.testing.assert_close(distribution.probs, values / values.sum(-1, keepdim=True))


def test_density_is_the_autocorrelation_series():
    a, z = randn(26), torch.linspace(-1, 1, 301, dtype=torch.float64)
    distribution = FourierDensity(a, -1, 1)
    c = torch.complex(*a.chunk(2))
    gamma = [(c[k:] * c[: 13 - k].conj()).sum() / c.abs().square().sum() for k in range(13)]
    torch.testing.assert_close(distribution.correlations, torch.stack(gamma[1:]))
    series = 0.5 + sum((gamma[k] * torch.exp(1j * math.pi * k * z)).real for k in range(1, 13))
    torch.testing.assert_close(distribution.log_prob(z).exp(), series, atol=1e-12, rtol=0)


WINDOWS = {"hann": lambda x: 1 + torch.cos(math.pi * x), "bell": lambda x: torch.exp(-4.5 * x * x)}


@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("frequencies", [8, 20, 128, pytest.param(550, marks=pytest.mark.slow)])
def test_spikes_are_never_negative(frequencies, shape):
    window = WINDOWS[shape](torch.arange(frequencies + 1) / (frequencies + 1))
    a = torch.cat((window, torch.zeros(frequencies + 1))).requires_grad_()
    z = torch.linspace(-1, 1, 20001)
    density = FourierDensity(a, -1, 1)
    log_prob = density.log_prob(z).detach()
    assert log_prob.isfinite().all()
    assert torch.trapezoid(log_prob.exp(), z).item() == pytest.approx(1, abs=1e-5)
    density.log_prob(z[::100]).sum().backward()
    assert a.grad.isfinite().all()
    distribution = FourierCategorical(a, 4096)
    assert distribution.log_probs.isfinite().all()
    assert (distribution.probs >= 0).all()
    ends = density.cdf(torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(ends, torch.tensor([0.0, 1.0]), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("frequencies", "size"), [(4, 50), (64, 128)])
def test_no_cell_exceeds_the_bound(frequencies, size):
    bound = (frequencies + 1) / size
    distribution = FourierCategorical(randn(1000, 2 * (frequencies + 1)), size)
    assert distribution.probs.max() <= bound + 1e-12
    for cell in (0, size // 3, size - 1):
        angle = -math.pi * torch.arange(frequencies + 1).double() * centers(size)[cell]
        sharpest = FourierCategorical(torch.cat((angle.cos(), angle.sin())), size)
        assert sharpest.probs[cell].item() == pytest.approx(bound, abs=1e-12)


def test_scale_of_coefficients_is_irrelevant():
    a, z = randn(4, 26, dtype=torch.float32), torch.linspace(-1, 1, 4)
    index = torch.tensor([0, 7, 30, 49])
    for scale in (1e-6, 1e-3, 10.0, 1e6):
        one, other = FourierCategorical(a, 50), FourierCategorical(scale * a, 50)
        torch.testing.assert_close(other.log_prob(index), one.log_prob(index), atol=1e-5, rtol=0)
        torch.testing.assert_close(other.log_probs, one.log_probs, atol=1e-4, rtol=0)
        one, other = FourierDensity(a, -1, 1), FourierDensity(scale * a, -1, 1)
        torch.testing.assert_close(other.log_prob(z), one.log_prob(z), atol=1e-5, rtol=0)
        torch.testing.assert_close(other.cdf(z), one.cdf(z), atol=1e-5, rtol=0)


def test_zero_coefficients_are_uniform_and_do_not_spoil_gradients():
    a = torch.zeros(2, 14, requires_grad=True)
    distribution, density = FourierCategorical(a, 10), FourierDensity(a, 0, 4)
    torch.testing.assert_close(distribution.probs, torch.full((2, 10), 0.1))
    torch.testing.assert_close(
        distribution.log_prob(torch.tensor([0, 9])).exp(), torch.full((2,), 0.1)
    )
    torch.testing.assert_close(
        density.log_prob(torch.tensor([1.0, 3.0])).exp(), torch.full((2,), 0.25)
    )
    torch.testing.assert_close(density.icdf(torch.tensor(0.25)), torch.full((2,), 1.0))
    total = (
        distribution.log_prob(torch.tensor(3)) + density.log_prob(torch.tensor(3.0)) + density.mean
    )
    (total.sum() + distribution.entropy().sum() + density.entropy().sum()).backward()
    assert a.grad.isfinite().all()


def test_conjugates_mirror_and_phases_translate():
    a, z, shift = randn(18), torch.linspace(-0.6, 0.6, 41, dtype=torch.float64), 0.3
    real, imaginary = a.chunk(2)
    distribution = FourierDensity(a, -1, 1)
    mirrored = FourierDensity(torch.cat((real, -imaginary)), -1, 1)
    torch.testing.assert_close(mirrored.log_prob(z), distribution.log_prob(-z))
    turned = torch.complex(real, imaginary) * torch.exp(
        -1j * math.pi * torch.arange(9).double() * shift
    )
    moved = FourierDensity(torch.cat((turned.real, turned.imag)), -1, 1)
    torch.testing.assert_close(moved.log_prob(z + shift), distribution.log_prob(z))
    cells = FourierCategorical(torch.cat((real, -imaginary)), 21)
    torch.testing.assert_close(cells.probs, FourierCategorical(a, 21).probs.flip(-1))


@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e-2])
def test_cross_entropy_of_logits_is_the_likelihood(eps):
    distribution = FourierCategorical(randn(40, 26), 50, eps)
    target = torch.arange(40)
    nll = cross_entropy(distribution.logits, target, reduction="none")
    torch.testing.assert_close(-distribution.log_prob(target), nll, atol=1e-10, rtol=0)
    plain = FourierCategorical(randn(40, 26), 50).probs
    leak = 50 * eps / (1 + 50 * eps)
    torch.testing.assert_close(
        distribution.probs, (1 - leak) * plain + leak / 50, atol=1e-12, rtol=0
    )


def test_gradient_is_that_of_the_defining_sum():
    a = randn(6, 18).requires_grad_()
    target = torch.tensor([0, 3, 9, 11, 19, 7])
    FourierCategorical(a, 20).log_prob(target).sum().backward()
    got, a.grad = a.grad.clone(), None
    values = torch.stack([modulus(row, centers(20)) for row in a])
    values.log().log_softmax(-1).gather(-1, target.unsqueeze(-1)).sum().backward()
    torch.testing.assert_close(got, a.grad, rtol=1e-9, atol=1e-11)


class Largest(TorchDispatchMode):
    """Watches how large tensors get, in forward and backward."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.elements = max(self.elements, leaf.untyped_storage().nbytes() // 4)
        return result


def test_likelihood_has_no_axis_of_cells():
    rows, frequencies, size = 64, 16, 100_000
    a = torch.randn(rows, 2 * (frequencies + 1), requires_grad=True)
    edges = torch.linspace(-1, 1, size + 1)
    with Largest() as largest:
        FourierCategorical(a, size, 1e-6).log_prob(torch.arange(rows)).sum().backward()
    assert largest.elements <= rows * 2 * (frequencies + 1)
    with Largest() as largest:
        Histogram(FourierCategorical(a, size), edges).log_prob(torch.rand(rows)).sum().backward()
    assert largest.elements <= size + 1  # the edges themselves


def test_tables_are_shared_when_there_are_more_rows_than_cells():
    a = randn(5000, 6)
    index = torch.arange(5000) % 18
    distribution = FourierCategorical(a, 18)
    assert distribution.log_prob(index).shape == (5000,)
    torch.testing.assert_close(
        distribution.log_prob(index), distribution.log_probs[torch.arange(5000), index]
    )


def test_phases_are_exact_at_high_frequencies():
    a = randn(2, 1102)
    index = torch.tensor([17, 4000])
    fine = FourierCategorical(a, 4096).log_prob(index)
    coarse = FourierCategorical(a.float(), 4096).log_prob(index)
    torch.testing.assert_close(coarse.double(), fine, atol=3e-5, rtol=0)
    z = torch.tensor([0.8123, -0.5077])
    fine = FourierDensity(a, -1, 1).log_prob(z.double())
    coarse = FourierDensity(a.float(), -1, 1).log_prob(z)
    torch.testing.assert_close(coarse.double(), fine, atol=3e-5, rtol=0)


def test_narrow_densities_keep_their_variance_in_float32():
    k = torch.arange(401)
    a = torch.cat((1 + torch.cos(math.pi * k / 401), torch.zeros(401)))
    fine = FourierDensity(a.double(), -1, 1).variance
    assert FourierDensity(a, -1, 1).variance.item() == pytest.approx(fine.item(), rel=1e-4)


@pytest.mark.parametrize("frequencies", [0, 1, 5, 64, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_reach_their_level_to_the_last_digits(frequencies, dtype):
    rough = randn(40, 2 * (frequencies + 1))
    sharp = torch.cat((torch.ones(frequencies + 1), torch.zeros(frequencies + 1))).double()
    a = torch.cat((rough, sharp.unsqueeze(0)))  # the last is nearly zero almost everywhere
    level = torch.linspace(0, 1, 301, dtype=dtype).unsqueeze(-1)
    with torch.no_grad():
        x = FourierDensity(a.to(dtype), -3, 1).icdf(level)
    reached = FourierDensity(a.to(dtype).double(), -3, 1).cdf(x.double())
    assert x.shape == (301, 41)
    assert ((x >= -3) & (x <= 1)).all()
    rounding = (8 + frequencies) * torch.finfo(dtype).eps  # x is rounded where densities are high
    assert (reached - level).abs().max() < rounding


def test_peak_beside_the_seam_is_found():
    angle = -math.pi * torch.arange(9, dtype=torch.float64) * 0.999
    distribution = FourierDensity(torch.cat((angle.cos(), angle.sin())), -2, 2)
    assert distribution.mode.item() == pytest.approx(1.998, abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FourierCategorical(torch.ones(5), 8),
        lambda: FourierCategorical(torch.ones(4), 0),
        lambda: FourierCategorical(torch.ones(4), 8, -1e-5),
        lambda: FourierDensity(torch.ones(3, 0), 0, 1),
        lambda: FourierDensity(torch.ones(4), 1, 1),
    ],
)
def test_mistakes_are_named(make):
    with pytest.raises(ValueError, match=r"^Fourier(Categorical|Density): "):
        make()
