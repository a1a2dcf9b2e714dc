import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch.distributions import Independent

from components.distributions import (
    Affine,
    Categorical,
    CategoricalWithSpecials,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    Histogram,
)
from components.metrics.smoothness import (
    smoothness,
    smoothness_of,
    smoothness_of_correlations,
)

F64 = torch.float64
ZERO = torch.zeros(())


def delta(cells):
    return torch.eye(cells, dtype=F64)[cells // 3]


def alternating(cells):
    even = (torch.arange(cells) % 2 == 0).to(F64)
    return even / even.sum()


def raised_cosine(cells):
    centers = (2 * torch.arange(cells, dtype=F64) + 1 - cells) / cells
    return (1 + torch.cos(math.pi * centers)) / cells


# Values of the function of the authors (github.com/nate-gillman/fourier-head, 94fa374).
GOLDEN = [
    (delta, 5, 0.786283547),
    (delta, 18, 0.776394493),
    (delta, 50, 0.775611593),
    (delta, 4096, 0.775500846),
    (alternating, 5, 0.351584751),
    (alternating, 18, 0.232516600),
    (alternating, 50, 0.139346521),
    (raised_cosine, 18, 0.040661321),
    (raised_cosine, 50, 0.008788156),
    (lambda cells: torch.arange(1, 6, dtype=F64) / 15, 5, 0.173087551),
]


@pytest.mark.parametrize(("distribution", "cells", "value"), GOLDEN)
def test_the_authors_function_gives_the_same(distribution, cells, value):
    assert smoothness(distribution(cells)).item() == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("cells", [5, 18, 50, 128])
def test_uniform_distributions_are_perfectly_smooth(cells):
    assert smoothness(torch.full((cells,), 1 / cells, dtype=F64)).item() < 1e-16


@pytest.mark.parametrize("cells", [2, 5, 18, 50, 128])
def test_equals_filtering_with_scipy(cells):
    torch.manual_seed(0)
    distributions = torch.randn(3, cells, dtype=F64).softmax(-1)
    expected = np.zeros(3)
    for sigma in range(1, 101):
        smooth = gaussian_filter1d(
            distributions.numpy(), sigma, mode="wrap", radius=cells - 1, axis=-1
        )
        expected += (
            6 / (math.pi * sigma) ** 2 * np.linalg.norm(distributions.numpy() - smooth, axis=-1)
        )
    torch.testing.assert_close(
        smoothness(distributions), torch.from_numpy(expected), rtol=0, atol=1e-10
    )


def test_more_frequencies_are_never_smoother():
    torch.manual_seed(0)
    cells, terms = 64, 20
    centers = (2 * torch.arange(cells, dtype=F64) + 1 - cells) / cells
    waves = torch.cos(math.pi * torch.arange(1, terms + 1, dtype=F64).unsqueeze(-1) * centers)
    parts = torch.rand(terms, 1, dtype=F64) * waves / (terms * cells)
    found = smoothness(1 / cells + parts.cumsum(0))
    assert (found.diff() >= 0).all()
    assert found[0] > 0


def test_square_waves_of_more_sines_are_rougher():
    """Appendix B: with the Euclidean norm on 2048 cells, negative values cut off."""
    angle = 4 * math.pi * (torch.arange(2048, dtype=F64) + 0.5) / 2048
    odd = 2 * torch.arange(40, dtype=F64).unsqueeze(-1) + 1
    wave = (torch.sin(odd * angle) / odd).cumsum(0).clamp_min(0)
    assert (smoothness(wave / wave.sum(-1, keepdim=True)).diff() > 0).all()


@pytest.mark.parametrize(
    ("color", "published"), [(-1, 0.0003), (-0.5, 0.0017), (0, 0.0034), (0.5, 0.0038)]
)
def test_published_smoothness_of_brown_pink_white_and_blue_noise(color, published):
    """Appendix B gives means over many distributions, not how noise is made one.

    4096 cells with the least value subtracted were chosen among several ways because they fit all
    four numbers: this is a check of consistency, not a reproduction.
    """
    noise = torch.randn(100, 4096, dtype=F64, generator=torch.Generator().manual_seed(0))
    amplitude = torch.fft.rfftfreq(4096, dtype=F64).clamp_min(1e-9) ** color
    amplitude[0] = 0
    wave = torch.fft.irfft(torch.fft.rfft(noise) * amplitude)
    wave -= wave.min(-1, keepdim=True).values
    found = smoothness(wave / wave.sum(-1, keepdim=True)).mean().item()
    assert found == pytest.approx(published, abs=1e-4)


def test_float32_and_half_are_computed_in_float32():
    distribution = raised_cosine(50)
    assert smoothness(distribution.float()).dtype == torch.float32
    assert smoothness(distribution.float()).item() == pytest.approx(0.008788156, rel=1e-5)
    assert smoothness(distribution.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert smoothness(distribution.float()).item() == pytest.approx(0.008788156, rel=1e-5)


def test_tables_made_without_gradients_serve_with_them():
    with torch.inference_mode():
        smoothness(delta(23))
    distribution = raised_cosine(23).requires_grad_()
    smoothness(distribution).backward()
    assert distribution.grad.isfinite().all()


@pytest.mark.parametrize(
    ("frequencies", "cells"),
    [
        (0, 1),
        (1, 2),
        (2, 5),
        (3, 5),
        (4, 5),
        (8, 18),
        (9, 18),
        (14, 18),
        (17, 18),
        (18, 18),
        (40, 18),
        (61, 5),
    ],
)
@pytest.mark.parametrize("eps", [0.0, 1e-2])
def test_coefficients_give_the_smoothness_of_the_probabilities(frequencies, cells, eps):
    torch.manual_seed(0)
    distribution = FourierCategorical(torch.randn(3, 2 * (frequencies + 1), dtype=F64), cells, eps)
    torch.testing.assert_close(
        smoothness_of(distribution), smoothness(distribution.probs), rtol=1e-10, atol=1e-15
    )


def test_closed_form_for_less_than_half_as_many_frequencies_as_cells():
    """The formula of theorem 3.3, written out."""
    torch.manual_seed(0)
    cells, a = 18, torch.randn(9, dtype=torch.complex128)
    c = [(a[k:] * a[: 9 - k].conj()).sum() for k in range(9)]
    expected = 0.0
    lag = torch.arange(-(cells - 1), cells, dtype=F64)
    for sigma in range(1, 101):
        kernel = torch.exp(-(lag**2) / (2 * sigma**2))
        kernel /= kernel.sum()
        kept = [(kernel * torch.cos(2 * math.pi * k * lag / cells)).sum() for k in range(9)]
        power = sum((c[k] / c[0]).abs() ** 2 * (1 - kept[k]) ** 2 for k in range(1, 9))
        expected += 6 / (math.pi * sigma) ** 2 * math.sqrt(2 / cells * power)
    found = smoothness_of_correlations(torch.stack(c[1:]) / c[0], cells)
    assert found.item() == pytest.approx(float(expected), rel=1e-10)


def test_distributions_with_cells_have_the_smoothness_of_their_cells():
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 6, dtype=F64)
    cells = Categorical(logits)
    expected = smoothness(logits.softmax(-1))
    histogram = Histogram(cells, torch.tensor([0.0, 0.1, 0.3, 0.5, 0.6, 0.8, 1.0]))
    moved = Affine(histogram, torch.tensor(2.0), torch.tensor(3.0))
    for distribution in (cells, histogram, moved):
        torch.testing.assert_close(smoothness_of(distribution), expected)
    vector = Affine(Independent(histogram, 1), torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(smoothness_of(vector), expected.mean(-1))


def test_integrals_and_special_outcomes_are_seen():
    torch.manual_seed(0)
    a = torch.randn(3, 18, dtype=F64)
    masses = FourierHistogram(a, tuple(range(19)))
    density, edges = FourierDensity(a, 0, 18), torch.arange(19, dtype=F64).unsqueeze(-1)
    expected = smoothness(density.cdf(edges.expand(19, 3)).diff(dim=0).T)
    torch.testing.assert_close(smoothness_of(masses), expected, rtol=1e-8, atol=1e-12)
    with_specials = CategoricalWithSpecials(torch.randn(3, 3, dtype=F64), masses)
    ordered = with_specials.probs[:, 2:] / with_specials.probs[:, 2:].sum(-1, keepdim=True)
    torch.testing.assert_close(smoothness_of(with_specials), smoothness(ordered))


@pytest.mark.parametrize(
    "wrap",
    [lambda distribution: distribution, lambda distribution: Affine(distribution, ZERO, 1 + ZERO)],
)
def test_distributions_without_cells_are_refused_in_one_sentence(wrap):
    density = FourierDensity(torch.randn(6), -1, 1)
    with pytest.raises(TypeError, match=r"^The smoothness of a FourierDensity is [^\n]*\.$"):
        smoothness_of(wrap(density))
