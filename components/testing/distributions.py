"""Laws of distributions: densities, moments, cdf, samples and gradients agree with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution

from components.distributions import Discrete, Mixed

LEVELS = (0.001, 0.07, 0.31, 0.5, 0.62, 0.9, 0.999)
OFF = 7e-4  # moves levels off the corners of piecewise densities
MISSED = 1e-11  # probability on either side that integrals leave out
PANELS, ORDER = 3000, 6  # of Gauss-Legendre quadrature
DRAWS = 4000
KOLMOGOROV = 1.95  # exceeded by the scaled statistic once in a thousand tests

Make = Callable[..., Distribution]
MakeDiscrete = Callable[..., Discrete]


def density_integrates_to_one(make: Make, jumps: Sequence[float] = ()) -> None:
    """Its integral is one within 1e-7, with the masses of its atoms."""
    distribution = make()
    total = _integrate_and_add(lambda x: distribution.log_prob(x).exp(), distribution, jumps)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-7, rtol=0)


def moments_are_integrals(make: Make, jumps: Sequence[float] = ()) -> None:
    """Mean, variance and standard deviation are those of the density."""
    distribution = make()

    def moment(power: int, about: Tensor | float) -> Tensor:
        return _integrate_and_add(
            lambda x: (x - about) ** power * distribution.log_prob(x).exp(), distribution, jumps
        )

    mean = moment(1, 0.0)
    variance = moment(2, mean)
    torch.testing.assert_close(distribution.mean, mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(distribution.variance, variance, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(distribution.stddev, variance.sqrt(), atol=1e-5, rtol=1e-5)


def entropy_is_its_integral(make: Make, jumps: Sequence[float] = ()) -> None:
    """The entropy is that of the density, in nats, and of the masses of atoms."""
    distribution = make()

    def term(x: Tensor) -> Tensor:
        log_prob = distribution.log_prob(x)
        return -log_prob.exp() * log_prob

    expected = _integrate_and_add(term, distribution, jumps)
    torch.testing.assert_close(distribution.entropy(), expected, atol=2e-5, rtol=0)


def cdf_differentiates_to_density(make: Make, jumps: Sequence[float] = ()) -> None:
    """Its gradient, and its difference quotient, are the density, but at atoms."""
    distribution = make()
    x = _between_atoms(distribution, distribution.icdf(_levels(OFF)).detach()).requires_grad_()
    (slope,) = torch.autograd.grad(distribution.cdf(x).sum(), x)
    density = distribution.log_prob(x).exp()
    torch.testing.assert_close(slope, density, rtol=1e-8, atol=1e-10)
    step = 1e-6
    difference = (distribution.cdf(x + step) - distribution.cdf(x - step)) / (2 * step)
    torch.testing.assert_close(difference, slope, rtol=1e-5, atol=1e-8)


def icdf_inverts_cdf(make: Make, jumps: Sequence[float] = ()) -> None:
    """For rows of any shape; the levels of an atom are those that `cdf` jumps over."""
    distribution = make(2, 3)
    levels = _levels().view(-1, 1, 1).expand(-1, 2, 3)
    x = distribution.icdf(levels)
    above = distribution.cdf(x)
    below = above - _masses_at(distribution, x)
    torch.testing.assert_close(levels.clamp(below, above), levels, atol=1e-10, rtol=0)


def mode_is_highest(make: Make, jumps: Sequence[float] = ()) -> None:
    """No other point has a higher density, or the mode is an atom that outweighs all others."""
    distribution = make()
    mode = distribution.mode
    heaviest = _masses_at(distribution, mode)
    if heaviest > 0:
        masses = _masses_at(distribution, _atoms(distribution))
        assert heaviest >= torch.cat((masses, 1 - masses.sum().view(1))).max()
        return
    x = distribution.icdf(torch.linspace(1e-4, 1 - 1e-4, 5001, dtype=torch.float64))
    x = _between_atoms(distribution, x)
    assert distribution.log_prob(mode) >= distribution.log_prob(x).max() - 1e-6


def samples_follow_cdf(make: Make, jumps: Sequence[float] = ()) -> None:
    """By the Kolmogorov-Smirnov statistic of 4,000 draws; they carry no gradient.

    Draws of an atom are spread over the levels that `cdf` jumps over.
    """
    torch.manual_seed(1)
    distribution = make()
    draws = distribution.sample((DRAWS,))
    assert draws.shape == (DRAWS,)
    assert not draws.requires_grad
    spread = torch.rand(DRAWS, dtype=torch.float64) * _masses_at(distribution, draws)
    found = (distribution.cdf(draws).double() - spread).sort().values
    expected = torch.arange(DRAWS + 1, dtype=torch.float64) / DRAWS
    apart = torch.maximum(found - expected[:-1], expected[1:] - found).max()
    assert apart * DRAWS**0.5 < KOLMOGOROV, f"samples and cdf are {apart.item():.3f} apart"


def log_prob_has_its_gradient(make: Make, jumps: Sequence[float] = ()) -> None:
    """In the value, by finite differences, but at atoms."""
    distribution = make()
    x = _between_atoms(distribution, distribution.icdf(_levels(OFF)).detach()).requires_grad_()
    assert gradcheck(distribution.log_prob, (x,))


def icdf_has_its_gradient(make: Make, jumps: Sequence[float] = ()) -> None:
    """In the level, by finite differences."""
    levels = _levels(OFF).clamp(0.01, 0.99).requires_grad_()
    assert gradcheck(make().icdf, (levels,), atol=1e-4)


def rows_do_not_mix(make: Make, jumps: Sequence[float] = ()) -> None:
    """Values, levels and rows broadcast, and a row alone gives what it gives among others."""
    distribution = make(2, 3)
    assert distribution.batch_shape == (2, 3)
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)
    u = torch.rand(4, 2, 3, generator=generator, dtype=torch.float64)
    for method, argument in (
        (distribution.log_prob, x),
        (distribution.cdf, x),
        (distribution.icdf, u),
    ):
        whole = method(argument)
        assert whole.shape == (4, 2, 3)
        torch.testing.assert_close(method(argument[1]), whole[1])
        torch.testing.assert_close(method(argument[1, 1, 2])[1, 2], whole[1, 1, 2])
    for value in (distribution.mean, distribution.variance, distribution.entropy()):
        assert value.shape == (2, 3)
    assert distribution.sample((5,)).shape == (5, 2, 3)
    assert distribution.rsample().shape == (2, 3)


def any_value_scores_finitely(make: Make, jumps: Sequence[float] = ()) -> None:
    """In float32 and up to 1e4, with finite gradients and probabilities within [0, 1]."""
    distribution = make(dtype=torch.float32)
    x = torch.tensor([-1e4, -3.0, 0.0, 3.0, 1e4], requires_grad=True)
    log_prob = distribution.log_prob(x)
    assert log_prob.isfinite().all()
    if log_prob.requires_grad:  # piecewise constant densities have none
        (gradient,) = torch.autograd.grad(log_prob.sum(), x)
        assert gradient.isfinite().all()
    assert ((distribution.cdf(x) >= 0) & (distribution.cdf(x) <= 1 + 1e-6)).all()


def rows_expand(make: Make, jumps: Sequence[float] = ()) -> None:
    """`expand` repeats rows; what was computed of them before is computed again."""
    distribution = make(3, 1)
    x = distribution.icdf(_levels().view(-1, 1, 1).expand(-1, 3, 1)).detach()
    log_prob, mean = distribution.log_prob(x), distribution.mean
    wide = distribution.expand(torch.Size((2, 3, 4)))
    assert wide.batch_shape == (2, 3, 4)
    assert distribution.batch_shape == (3, 1)
    assert wide.sample((5,)).shape == (5, 2, 3, 4)
    shape = (len(x), 2, 3, 4)
    found = wide.log_prob(x.unsqueeze(1).expand(shape))
    torch.testing.assert_close(found, log_prob.unsqueeze(1).expand(shape))
    torch.testing.assert_close(wide.mean, mean.expand(2, 3, 4))


REAL_LAWS = (
    density_integrates_to_one,
    moments_are_integrals,
    entropy_is_its_integral,
    cdf_differentiates_to_density,
    icdf_inverts_cdf,
    mode_is_highest,
    samples_follow_cdf,
    log_prob_has_its_gradient,
    icdf_has_its_gradient,
    rows_do_not_mix,
    rows_expand,
    any_value_scores_finitely,
)
"""Each takes `make(*shape, dtype=torch.float64)`, which builds a distribution over the real line
with rows of a shape, and where the density of `make()` jumps. One with point masses is a `Mixed`,
by which the laws find its atoms."""


def probabilities_sum_to_one(make: MakeDiscrete) -> None:
    """`probs`, `log_probs` and `logits` agree."""
    distribution = make(2, 3)
    ones = torch.ones(2, 3, dtype=torch.float64)
    torch.testing.assert_close(distribution.probs.sum(-1), ones)
    torch.testing.assert_close(distribution.log_probs.exp(), distribution.probs)
    torch.testing.assert_close(distribution.logits.log_softmax(-1), distribution.log_probs)


def an_outcome_scores_as_among_all(make: MakeDiscrete) -> None:
    """`log_prob` of an outcome, of any integer type, is its entry in `log_probs`."""
    distribution = make(2, 3)
    last = distribution.size - 1
    index = torch.arange(distribution.size).view(-1, 1, 1).expand(-1, 2, 3)
    torch.testing.assert_close(distribution.log_prob(index), distribution.log_probs.movedim(-1, 0))
    for value in (index[last], index[last, 0, 0].int()):
        expected = distribution.log_probs[..., last]
        torch.testing.assert_close(distribution.log_prob(value), expected)


def summaries_are_those_of_its_probabilities(make: MakeDiscrete) -> None:
    """Entropy, mean, variance and mode."""
    distribution = make(2, 3)
    probs = distribution.probs
    index = torch.arange(distribution.size, dtype=torch.float64)
    mean = (probs * index).sum(-1)
    entropy = -torch.special.xlogy(probs, probs).sum(-1)
    torch.testing.assert_close(distribution.entropy(), entropy)
    torch.testing.assert_close(distribution.mean, mean)
    torch.testing.assert_close(distribution.variance, (probs * index**2).sum(-1) - mean**2)
    highest = probs.gather(-1, distribution.mode.unsqueeze(-1))[..., 0]
    assert torch.equal(highest, probs.amax(-1))


def samples_follow_probabilities(make: MakeDiscrete) -> None:
    """Shares of 20,000 draws are within .015 of the probabilities."""
    torch.manual_seed(0)
    distribution = make(2)
    size, draws = distribution.size, 20_000
    counts = [torch.bincount(row, minlength=size) for row in distribution.sample((draws,)).T]
    shares = torch.stack(counts) / draws
    torch.testing.assert_close(shares, distribution.probs.float(), atol=0.015, rtol=0)


def outcomes_expand(make: MakeDiscrete) -> None:
    """`expand` repeats rows; what was computed of them before is computed again."""
    distribution = make(3, 1)
    probs = distribution.probs
    wide = distribution.expand(torch.Size((2, 3, 4)))
    assert wide.batch_shape == (2, 3, 4)
    assert wide.sample(torch.Size((5,))).shape == (5, 2, 3, 4)
    torch.testing.assert_close(wide.probs, probs.expand(2, 3, 4, -1))
    index = torch.arange(24).view(2, 3, 4) % wide.size
    expected = probs.expand(2, 3, 4, -1).gather(-1, index.unsqueeze(-1)).squeeze(-1).log()
    torch.testing.assert_close(wide.log_prob(index), expected)


DISCRETE_LAWS = (
    probabilities_sum_to_one,
    an_outcome_scores_as_among_all,
    summaries_are_those_of_its_probabilities,
    samples_follow_probabilities,
    outcomes_expand,
)
"""Each takes `make(*shape)`, which builds a `Discrete` in float64 with rows of a shape."""


def integrate(
    function: Callable[[Tensor], Tensor],
    distribution: Distribution,
    *points: float,
    jumps: Sequence[float] = (),
) -> Tensor:
    """Integrates over all but 2e-11 of the mass of a distribution, and at least to given points.

    Args:
        function: The integrand, elementwise.
        distribution: A distribution over the real line without rows, in float64.
        points: Where the integrand bends.
        jumps: Where the density jumps; panels end there. Atoms belong to no panel.
    """
    corners = torch.tensor([*points, *jumps], dtype=torch.float64)
    far = torch.tensor([MISSED, 1 - MISSED], dtype=torch.float64)
    ends = torch.cat((distribution.icdf(far), corners[: len(points)]))
    low, high = ends.min(), ends.max()
    at, weights = nodes_and_weights(low, high, corners)
    total: Tensor = (function(at) * weights).sum()
    return total


def nodes_and_weights(low: Tensor, high: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Lays out the rule of integrals from one end to another.

    Args:
        low: Where integrals begin, a scalar in float64.
        high: Where they end, likewise.
        corners: Where panels end besides, `[C]` in float64; those beyond the ends do not count.

    Returns:
        Places inside of panels and the weights of values there, each `[P]`.
    """
    even = low + (high - low) * torch.linspace(0, 1, PANELS + 1, dtype=torch.float64)
    edges = torch.cat((even, corners[(corners > low) & (corners < high)]))
    edges = torch.unique(edges)
    nodes, weights = _legendre(ORDER)
    half = edges.diff().unsqueeze(-1) / 2
    at = edges[:-1].unsqueeze(-1) + half + half * nodes
    return at.flatten(), (weights * half).flatten()


def _integrate_and_add(
    function: Callable[[Tensor], Tensor], distribution: Distribution, jumps: Sequence[float]
) -> Tensor:
    """Integrates what depends on log-densities, and adds its values at atoms."""
    atoms = _atoms(distribution)
    return integrate(function, distribution, jumps=[*jumps, *atoms.tolist()]) + sum(
        function(atom) for atom in atoms
    )


def _atoms(distribution: Distribution) -> Tensor:
    """Returns the values of positive probability, `[A]`."""
    return distribution.atoms if isinstance(distribution, Mixed) else torch.empty(0)


def _masses_at(distribution: Distribution, value: Tensor) -> Tensor:
    """Returns the probability of each value `[...]`, 0 between atoms."""
    if not isinstance(distribution, Mixed):
        return torch.zeros_like(value)
    mass = distribution.log_prob(value).exp()
    return torch.where(distribution.is_atom(value), mass, 0.0).detach()


def _between_atoms(distribution: Distribution, value: Tensor) -> Tensor:
    """Returns those of the values `[K]` that are no atoms."""
    return value[~distribution.is_atom(value)] if isinstance(distribution, Mixed) else value


def _legendre(order: int) -> tuple[Tensor, Tensor]:
    """Returns nodes and weights: eigenvalues and eigenvectors of a small matrix.

    Source: Golub and Welsch, "Calculation of Gauss Quadrature Rules", 1969.
    """
    k = torch.arange(1, order, dtype=torch.float64)
    off = k / (4 * k.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return nodes, 2 * vectors[0].square()


def _levels(moved: float = 0.0) -> Tensor:
    return torch.tensor(LEVELS, dtype=torch.float64) + moved
