r"""When myopic descent finds the solution that is best for the present, and when it does not.

A loss :math:`f(\phi, \theta)` has two arguments: what past positions compute, and what the present
one does. Myopic descent follows the gradient of the second one at :math:`\phi = \theta`. For

.. math:: f(\phi, \theta) = \tfrac{\sigma}{2} \theta^T \theta + \theta^T B \phi - c^T \theta

its fixed point, the myopic solution, solves :math:`(\sigma I + B) \theta = c`. It is reached where
:math:`\rho = \|B\| < \sigma`, with any step below :math:`2 (\sigma - \rho) / (\sigma + \rho)^2`.
Descent on :math:`f(\theta, \theta)` solves :math:`(\sigma I + B + B^T) \theta = c`.

Source: Wu, Morris and Levine (arXiv:2404.00859), theorem 13, which demands a loss that is biased
    towards the present; here :math:`\rho < \sigma` takes its place.
"""

import pytest
import torch

SIZE, SIGMA, STEPS = 6, 1.0, 4000
GENERATOR = torch.Generator().manual_seed(0)
DRAWN = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=GENERATOR)
DRAWN = DRAWN / torch.linalg.matrix_norm(DRAWN, 2)
LINEAR = torch.randn(SIZE, dtype=torch.float64, generator=GENERATOR)
EYE = torch.eye(SIZE, dtype=torch.float64)


def loss(past, present, coupling):
    return SIGMA / 2 * present @ present + present @ coupling @ past - LINEAR @ present


def descend(coupling, rate, myopic):
    """Follows the gradient that automatic differentiation finds, with or without the past's."""
    theta = torch.zeros(SIZE, dtype=torch.float64, requires_grad=True)
    for _ in range(STEPS):
        past = theta.detach() if myopic else theta
        [gradient] = torch.autograd.grad(loss(past, theta, coupling), theta)
        theta = (theta - rate * gradient).detach().requires_grad_()
    return theta.detach()


def rate(coupling):
    """Half of the largest step for which the map is known to contract."""
    rho = float(torch.linalg.matrix_norm(coupling, 2))
    return (SIGMA - rho) / (SIGMA + rho) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("norm", [0.5, 0.9])
def test_finds_the_myopic_solution(norm):
    coupling = norm * DRAWN
    found = descend(coupling, rate(coupling), myopic=True)
    solution = torch.linalg.solve(SIGMA * EYE + coupling, LINEAR)
    torch.testing.assert_close(found, solution, rtol=0, atol=1e-8)


def test_nothing_is_better_for_the_present_given_that_past():
    """At the myopic solution the present is the best answer to a past that computes the same."""
    solution = torch.linalg.solve(SIGMA * EYE + 0.5 * DRAWN, LINEAR)
    reached = loss(solution, solution, 0.5 * DRAWN)
    for direction in torch.eye(SIZE, dtype=torch.float64):
        for step in (-1e-3, 1e-3):
            assert loss(solution, solution + step * direction, 0.5 * DRAWN) > reached


@pytest.mark.slow
def test_diverges_where_the_past_weighs_more():
    """With an eigenvalue of its equation left of 0, no step is small enough."""
    coupling = 1.5 * DRAWN
    smallest = torch.linalg.eigvals(coupling).real.min()
    coupling = coupling - (SIGMA + 0.02 + smallest) * EYE
    assert torch.linalg.eigvals(SIGMA * EYE + coupling).real.min() == pytest.approx(-0.02)
    solution = torch.linalg.solve(SIGMA * EYE + coupling, LINEAR)
    found = descend(coupling, 0.1, myopic=True)
    assert (found - solution).norm() > 1e2


@pytest.mark.slow
def test_the_gap_is_never_negative():
    coupling = 0.5 * DRAWN
    whole = SIGMA * EYE + coupling + coupling.T
    assert torch.linalg.eigvalsh(whole).min() > 0
    best = descend(coupling, 0.1, myopic=False)
    torch.testing.assert_close(best, torch.linalg.solve(whole, LINEAR), rtol=0, atol=1e-8)
    myopic = torch.linalg.solve(SIGMA * EYE + coupling, LINEAR)
    gap = loss(myopic, myopic, coupling) - loss(best, best, coupling)
    apart = myopic - best
    torch.testing.assert_close(gap, apart @ whole @ apart / 2, rtol=0, atol=1e-12)
    assert gap > 0.01
