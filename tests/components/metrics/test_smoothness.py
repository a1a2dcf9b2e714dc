import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from components.metrics.smoothness import smoothness

F64 = torch.float64


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


@pytest.mark.parametrize(("law", "cells", "value"), GOLDEN)
def test_the_authors_function_gives_the_same(law, cells, value):
    assert smoothness(law(cells)).item() == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("cells", [5, 18, 50, 128])
def test_uniform_laws_are_perfectly_smooth(cells):
    assert smoothness(torch.full((cells,), 1 / cells, dtype=F64)).item() < 1e-16


@pytest.mark.parametrize("cells", [2, 5, 18, 50, 128])
def test_equals_filtering_with_scipy(cells):
    torch.manual_seed(0)
    laws = torch.randn(3, cells, dtype=F64).softmax(-1)
    expected = np.zeros(3)
    for sigma in range(1, 101):
        smooth = gaussian_filter1d(laws.numpy(), sigma, mode="wrap", radius=cells - 1, axis=-1)
        expected += 6 / (math.pi * sigma) ** 2 * np.linalg.norm(laws.numpy() - smooth, axis=-1)
    torch.testing.assert_close(smoothness(laws), torch.from_numpy(expected), rtol=0, atol=1e-10)


def test_more_frequencies_are_never_smoother():
    torch.manual_seed(0)
    cells, terms = 64, 20
    centers = (2 * torch.arange(cells, dtype=F64) + 1 - cells) / cells
    waves = torch.cos(math.pi * torch.arange(1, terms + 1, dtype=F64).unsqueeze(-1) * centers)
    parts = torch.rand(terms, 1, dtype=F64) * waves / (terms * cells)
    found = smoothness(1 / cells + parts.cumsum(0))
    assert (found.diff() >= 0).all()
    assert found[0] > 0


def test_float32_and_half_are_computed_in_float32():
    law = raised_cosine(50)
    assert smoothness(law.float()).dtype == torch.float32
    assert smoothness(law.float()).item() == pytest.approx(0.008788156, rel=1e-5)
    assert smoothness(law.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert smoothness(law.float()).item() == pytest.approx(0.008788156, rel=1e-5)


def test_tables_made_without_gradients_serve_with_them():
    with torch.inference_mode():
        smoothness(delta(23))
    law = raised_cosine(23).requires_grad_()
    smoothness(law).backward()
    assert law.grad.isfinite().all()
