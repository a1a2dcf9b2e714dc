"""Laws that every distribution obeys, against quadrature, scipy and finite differences."""

from functools import partial

import pytest
import torch
from every_distribution import DISCRETE, MIXED, REAL, discrete, jumps, randn, real, tensor
from torch.distributions import Independent

from components.distributions import Affine, Categorical
from components.distributions.functionals import probabilities
from components.distributions.roughness import roughness
from components.distributions.scores import crps
from components.distributions.vectors import components_of, joint
from components.testing import DISCRETE_LAWS, REAL_LAWS

every_density_or_mixed = pytest.mark.parametrize("name", [*REAL, *MIXED])
every_mixed = pytest.mark.parametrize("name", MIXED)
every_real = pytest.mark.parametrize("name", REAL)
every_discrete = pytest.mark.parametrize("name", DISCRETE)


@every_density_or_mixed
@pytest.mark.parametrize("law", REAL_LAWS, ids=lambda law: law.__name__)
def test_every_real_distribution(law, name):
    law(partial(real, name), jumps(real(name)))


@every_discrete
@pytest.mark.parametrize("law", DISCRETE_LAWS, ids=lambda law: law.__name__)
def test_every_discrete_distribution(law, name):
    law(partial(discrete, name))


@pytest.mark.parametrize("name", ["Normal", "StudentT", "Mixture", "Quantiles", "Affine(Mixture)"])
def test_on_the_line_certain_levels_have_infinite_quantiles(name):
    levels = tensor(0.0, 1.0, 0.3, torch.nan, -0.2, 1.3).requires_grad_()
    found = real(name).icdf(levels)
    assert found[:2].tolist() == [-torch.inf, torch.inf]
    assert found[2].isfinite()
    assert found[3:].isnan().all()


@every_real
def test_functionals_and_mode_are_of_each_row(name):
    distribution = real(name, 2, 3)
    assert distribution.mode.shape == (2, 3)
    assert roughness(distribution).shape == (2, 3)
    assert crps(distribution, randn(4, 2, 3, seed=7)).shape == (4, 2, 3)


@every_mixed
def test_mixed_distributions_have_modes_scores_and_vectors(name):
    base, x = real(name, 2, 3), randn(2, 3, seed=7)
    assert base.mode.shape == (2, 3)
    assert crps(base, randn(4, 2, 3, seed=7)).shape == (4, 2, 3)
    vector = joint(base, (3,))
    torch.testing.assert_close(vector.log_prob(x), base.log_prob(x).sum(-1))
    torch.testing.assert_close(crps(vector, x), crps(base, x).sum(-1))


@every_mixed
def test_masses_of_atoms_are_the_jumps_of_the_distribution_function(name):
    distribution = real(name, 2)
    for atom, mass in zip(distribution.atoms, distribution.atom_masses.unbind(-1), strict=True):
        before = torch.nextafter(atom.float(), torch.tensor(-torch.inf)).double()
        jump = distribution.cdf(atom.expand(2)) - distribution.cdf(before.expand(2))
        torch.testing.assert_close(jump, mass, atol=1e-6, rtol=0)
        torch.testing.assert_close(distribution.log_prob(atom.expand(2)).exp(), mass)
        assert distribution.is_atom(atom)
        assert not distribution.is_atom((distribution.atoms[0] + distribution.atoms[1]) / 2)


@every_mixed
def test_point_masses_are_not_moved_to_other_units(name):
    for distribution in (real(name, 3), joint(real(name, 3), (3,))):
        with pytest.raises(ValueError, match=r"^Affine: .* point masses, [^\n]*; give [^\n]*\.$"):
            Affine(distribution, torch.zeros(3), torch.ones(3))


@every_real
def test_affine_changes_variables(name):
    base = real(name, 4)
    loc, scale = randn(4, seed=8), randn(4, seed=9).exp()
    distribution = Affine(base, loc, scale)
    x = base.icdf(torch.full((4,), 0.37, dtype=torch.float64))
    y = loc + scale * x
    torch.testing.assert_close(distribution.log_prob(y), base.log_prob(x) - scale.log())
    torch.testing.assert_close(distribution.cdf(y), base.cdf(x))
    torch.testing.assert_close(distribution.icdf(base.cdf(x)), y)
    torch.testing.assert_close(distribution.entropy(), base.entropy() + scale.log())
    torch.testing.assert_close(crps(distribution, y), crps(base, x) * scale)
    torch.testing.assert_close(roughness(distribution), roughness(base) / scale**3)


@every_real
def test_independent_adds_components(name):
    base = real(name, 2, 3)
    distribution = joint(base, (3,))
    x = randn(2, 3, seed=7)
    torch.testing.assert_close(distribution.log_prob(x), base.log_prob(x).sum(-1))
    torch.testing.assert_close(distribution.entropy(), base.entropy().sum(-1))
    torch.testing.assert_close(crps(distribution, x), crps(base, x).sum(-1))
    torch.testing.assert_close(roughness(distribution), roughness(base).sum(-1))
    same = Independent(base, 0, validate_args=False)  # no axis is one of a vector
    torch.testing.assert_close(same.entropy(), base.entropy())
    torch.testing.assert_close(crps(same, x), crps(base, x))
    torch.testing.assert_close(roughness(same), roughness(base))


@every_real
def test_vectors_in_other_units_add_components_in_other_units(name):
    base, x = real(name, 2, 3), randn(2, 3, seed=7)
    loc, scale = torch.ones(2, 1, dtype=torch.float64), randn(3, seed=1).exp()
    moved, each = Affine(joint(base, (3,)), loc, scale), Affine(base, loc, scale)
    torch.testing.assert_close(moved.log_prob(x), each.log_prob(x).sum(-1))
    torch.testing.assert_close(moved.entropy(), each.entropy().sum(-1))
    torch.testing.assert_close(crps(moved, x), crps(each, x).sum(-1))
    torch.testing.assert_close(roughness(moved), roughness(each).sum(-1))
    level = torch.full((2, 3), 0.37, dtype=torch.float64)
    torch.testing.assert_close(components_of(moved).icdf(level), loc + scale * base.icdf(level))


@every_real
def test_probabilities_are_integrals(name):
    distribution = real(name)
    edges = torch.tensor([-3.0, -1.0, 0.0, 0.5, 4.0], dtype=torch.float64)
    torch.testing.assert_close(
        probabilities(distribution, edges),
        distribution.cdf(edges[1:]) - distribution.cdf(edges[:-1]),
    )


@every_mixed
def test_probabilities_of_cells_between_atoms_are_those_of_all_outcomes(name):
    distribution = real(name, 2)
    low, high = distribution.atoms[0], distribution.atoms[-1]
    edges = torch.linspace(low, high, 9, dtype=torch.float64)
    below = distribution.cdf((low - 1e-4).expand(2))
    expected = distribution.cdf(high.expand(2)) - below
    found = probabilities(distribution, edges).sum(-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_affine_refuses_to_invent_rows():
    with pytest.raises(ValueError, match="do not broadcast"):
        Affine(real("Normal", 3), torch.zeros(2, 3), torch.ones(2, 3))


def test_what_cannot_happen_is_never_drawn():
    logits = torch.full((50_000, 4), -torch.inf)
    logits[:, 1] = 0
    assert (Categorical(logits).sample((20,)) == 1).all()
