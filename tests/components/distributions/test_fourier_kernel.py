"""The kernel of the Fourier likelihood: routes agree; torch may transform and compile it."""

import math

import pytest
import torch
from every_distribution import randn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jacrev, vmap

from components.distributions import FourierCategorical, FourierDensity, FourierHistogram
from components.distributions.fourier.polynomial import (
    angles,
    basis,
    center_angles,
    center_table,
    log_power,
    powers,
    transform,
)


@pytest.mark.parametrize(("frequencies", "size"), [(1, 2), (8, 18), (31, 50), (64, 4096)])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_one_cell_fourier_transform_and_matrix_products_agree(frequencies, size, dtype, close):
    a = randn(3, 2 * (frequencies + 1), dtype=dtype)
    terms = frequencies + 1
    first = center_angles(torch.zeros((), dtype=torch.int64), size, terms, dtype)
    table = center_table(size, terms, a)
    by_transform, by_products = transform(a, first, size) / size, powers(a, table) / size
    by_cell = log_power(a.unsqueeze(1), tuple(part.expand(3, -1, -1) for part in table)).exp()
    torch.testing.assert_close(by_products, by_transform, atol=close, rtol=0)
    torch.testing.assert_close(by_cell / size, by_transform, atol=close, rtol=0)


def test_gradients_of_all_routes_agree():
    a = randn(2, 22).requires_grad_()
    at, table = torch.tensor([3, 16]), center_table(18, 11, a)
    first = center_angles(torch.tensor(0), 18, 11, a.dtype)
    picked = (
        FourierCategorical(a, 18).log_prob(at),
        powers(a, table)[[0, 1], at].log(),
        transform(a, first, 18)[[0, 1], at].log(),
    )
    one, *others = (torch.autograd.grad(value.sum(), a)[0] for value in picked)
    for other in others:
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_first_and_second_derivatives_are_those_of_differences():
    a, z = randn(3, 10).requires_grad_(), randn(3, seed=1).tanh().requires_grad_()

    def value(a, z):
        return log_power(a, basis(angles(z, 5)))

    assert gradcheck(value, (a, z))
    assert gradgradcheck(value, (a, z))


@pytest.mark.parametrize(("rows", "size"), [(4, 50), (60, 18)], ids=["angles", "table"])
def test_stacked_models_train_as_each_alone(rows, size):
    weight, hidden = randn(3, 12, 5), randn(3, rows, 5, seed=1)
    target = torch.randint(size, (3, rows), generator=torch.Generator().manual_seed(0))

    def loss(weight, hidden, target):
        return -FourierCategorical(hidden @ weight.T, size).log_prob(target).mean()

    stacked = vmap(grad(loss))(weight, hidden, target)
    for model in range(3):
        alone = weight[model].clone().requires_grad_()
        loss(alone, hidden[model], target[model]).backward()
        torch.testing.assert_close(stacked[model], alone.grad)


@pytest.mark.parametrize("axes", [(0, None), (None, 0)], ids=["coefficients", "targets"])
def test_one_side_may_be_shared_by_all(axes):
    rows = randn(3, 7, 12) if axes[0] == 0 else randn(7, 12)
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(50, (7,) if axes[1] is None else (3, 7), generator=generator)

    def nats(rows, target):
        return FourierCategorical(rows, 50).log_prob(target)

    found = vmap(nats, in_dims=axes)(rows, target)
    slopes = vmap(jacrev(nats), in_dims=axes)(rows, target)
    for k in range(3):
        alone = rows if axes[0] is None else rows[k], target if axes[1] is None else target[k]
        torch.testing.assert_close(found[k], nats(*alone))
        torch.testing.assert_close(slopes[k], jacrev(nats)(*alone))


def test_densities_differentiate_under_transforms():
    a, x = randn(12), torch.linspace(-1, 1, 9, dtype=torch.float64)
    slopes = vmap(grad(lambda x: FourierDensity(a, -1, 1).log_prob(x)))(x)
    leaf = x.clone().requires_grad_()
    FourierDensity(a, -1, 1).log_prob(leaf).sum().backward()
    torch.testing.assert_close(slopes, leaf.grad)


@pytest.mark.parametrize(("size", "terms"), [(4096, 551), (65_536, 551), (1_000_003, 40)])
def test_angles_at_centers_lose_no_digits(size, terms):
    index = torch.tensor([0, 1, size // 3, size - 1])
    found = center_angles(index, size, terms, torch.float32).double()
    for row, j in enumerate(index.tolist()):
        multiples = [(k * (2 * j + 1 - size) + size) % (2 * size) - size for k in range(terms)]
        exact = torch.tensor(multiples, dtype=torch.float64) * math.pi / size
        apart = (found[row] - exact + math.pi).remainder(2 * math.pi) - math.pi
        assert apart.abs().max() < 4e-7


EDGES = tuple(float(edge) for edge in range(19))


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        pytest.param(FourierCategorical, 18, marks=pytest.mark.slow),
        (FourierHistogram, EDGES),
    ],
)
def test_it_compiles_without_a_break(kind, cells):
    weight = torch.randn(18, 6, requires_grad=True)
    hidden, target = torch.randn(40, 6), torch.randint(18, (40,))

    def loss(weight):
        return -kind(hidden @ weight.T, cells).log_prob(target).mean()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value = compiled(weight)
    value.backward()
    found, weight.grad = weight.grad.clone(), None
    expected = loss(weight)
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, weight.grad)
