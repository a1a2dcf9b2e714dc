"""A Fourier head for data with spikes and ends, against the definitions of folding and mixing."""

import pytest
import torch

from components.distributions import ErfWarp, TanhWarp
from components.heads import FourierHead, MixtureHead, NormalHead, StudentTHead
from components.supports import Bins, Interval, Tokens
from components.testing.distributions import integrate

INTERVAL = Interval(-1.0, 3.0)


def outputs(head):
    torch.manual_seed(0)
    return torch.randn(4, head.outputs, dtype=torch.float64)


def test_ends_and_spikes_are_those_of_the_folded_circle_and_of_three_weights():
    head = FourierHead(8, INTERVAL, 5, bins=20, ends="even", atoms="bounds")
    raw = outputs(head)
    circle = FourierHead(8, Tokens(40), 5).reading.distribution(raw[:, :12]).probs
    weights = raw[:, 12:].softmax(-1)
    expected = (circle[:, 20:] + circle[:, :20].flip(-1)) * weights[:, 2:]
    expected[:, 0] += weights[:, 0]
    expected[:, -1] += weights[:, 1]
    torch.testing.assert_close(head.reading.distribution(raw).cells.probs, expected)


@pytest.mark.parametrize("mass", ["center", "exact"])
def test_the_density_is_the_limit_of_many_cells(mass):
    raw = outputs(FourierHead(8, INTERVAL, 5, ends="even"))
    density = FourierHead(8, INTERVAL, 5, ends="even").reading.distribution(raw)
    cells = FourierHead(8, INTERVAL, 5, ends="even", mass=mass, bins=4000)
    x = torch.linspace(-0.99, 2.99, 50, dtype=torch.float64).unsqueeze(-1).expand(-1, 4)
    fine = cells.reading.distribution(raw)
    torch.testing.assert_close(fine.log_prob(x), density.log_prob(x), atol=0.02, rtol=0)
    torch.testing.assert_close(fine.mean, density.mean, atol=1e-3, rtol=0)


def test_exact_masses_of_uneven_cells_are_integrals_of_the_even_density():
    edges = (-1.0, -0.9, 0.5, 1.0, 2.7, 3.0)
    head = FourierHead(8, Bins(edges), 5, ends="even", mass="exact")
    raw = outputs(head)
    density = FourierHead(8, INTERVAL, 5, ends="even").reading.distribution(raw)
    below = density.cdf(torch.tensor(edges, dtype=torch.float64).unsqueeze(-1).expand(-1, 4))
    found = head.reading.distribution(raw).cells.probs
    torch.testing.assert_close(found, below.diff(dim=0).T, atol=1e-7, rtol=0)


@pytest.mark.slow
def test_what_lies_near_one_end_does_not_spill_over_to_the_other():
    """Of the best of each kind for a target at the upper end, by 300 steps of gradient descent."""
    lowest = {}
    for ends in ("periodic", "even"):
        torch.manual_seed(0)
        head = FourierHead(1, INTERVAL, 4, bins=64, ends=ends).double()
        optimizer = torch.optim.Adam(head.parameters(), 0.05)
        hidden, target = torch.ones(1, 1, dtype=torch.float64), torch.tensor([3.0])
        for _ in range(300):
            optimizer.zero_grad()
            (-head(hidden).log_prob(target)).sum().backward()
            optimizer.step()
        probs = head(hidden).cells.probs[0]
        lowest[ends] = (probs[:8].sum() / probs[-8:].sum()).item()
    assert lowest["periodic"] > 0.3
    assert lowest["even"] < 0.05


@pytest.mark.parametrize(
    ("support", "options", "places"),
    [
        (INTERVAL, {"bins": 8, "atoms": "bounds"}, (0, 7)),
        (INTERVAL, {"bins": 8, "atoms": [-1.0, 0.0, 3.0]}, (0, 2, 7)),
        (Tokens(8), {"atoms": "bounds"}, (0, 7)),
        (Tokens(8), {"atoms": [1, 5]}, (1, 5)),
    ],
)
def test_atoms_lie_in_the_cells_that_hold_them(support, options, places):
    """With weights 1, 2, … beside a uniform distribution of weight 1."""
    head = FourierHead(8, support, 3, **options)
    weights = torch.arange(1.0, len(places) + 1).double()
    coefficients = torch.zeros(8, dtype=torch.float64)
    rest = torch.zeros(1, dtype=torch.float64)
    found = head.reading.distribution(torch.cat((coefficients, weights.log(), rest)))
    expected = torch.full((8,), 1 / 8, dtype=torch.float64)
    expected[list(places)] += weights
    probs = (found if isinstance(support, Tokens) else found.cells).probs
    torch.testing.assert_close(probs, expected / expected.sum())


def test_atoms_among_ordered_tokens_leave_the_special_ones_alone():
    head = FourierHead(8, Tokens(7), 3, specials=2, atoms=[2, 5])
    raw = torch.cat((torch.zeros(8), torch.tensor([3.0, 2.0, 1.0]).log(), torch.zeros(3)))
    ordered = torch.tensor([3 + 1 / 5, 1 / 5, 1 / 5, 2 + 1 / 5, 1 / 5]) / 6
    expected = torch.cat((torch.ones(2), ordered)) / 3
    torch.testing.assert_close(head.reading.distribution(raw).probs, expected)


def test_without_bins_log_prob_is_of_masses_and_of_a_density():
    head = FourierHead(8, INTERVAL, 5, ends="even", atoms=[-1.0, 0.5])
    raw = outputs(head)
    weights = raw[:, 12:].log_softmax(-1)
    smooth = FourierHead(8, INTERVAL, 5, ends="even").reading.distribution(raw[:, :12])
    found, at = head.reading.distribution(raw).log_prob, torch.tensor
    torch.testing.assert_close(found(at([-1.0] * 4)), weights[:, 0])
    torch.testing.assert_close(found(at([-5.0] * 4)), weights[:, 0])  # counts as the bound
    torch.testing.assert_close(found(at([0.5] * 4)), weights[:, 1])
    x = at([0.7, 2.0, 3.0, 9.0])
    torch.testing.assert_close(found(x), weights[:, 2] + smooth.log_prob(x))


@pytest.mark.parametrize("warp", [TanhWarp, ErfWarp])
@pytest.mark.parametrize("atoms", ["bounds", [0.0], [-1.0, 0.5]])
def test_with_a_warp_what_lies_beyond_the_interval_keeps_its_own_density(warp, atoms):
    head = FourierHead(8, INTERVAL, 5, warp=warp, atoms=atoms)
    raw = outputs(head)[0]
    found = head.reading.distribution(raw)
    smooth = FourierHead(8, INTERVAL, 5, warp=warp).reading.distribution(raw[:12])
    x = torch.tensor([-9.0, -1.5, 3.5, 40.0], dtype=torch.float64)
    weight = raw[12:].log_softmax(-1)[-1]
    torch.testing.assert_close(found.log_prob(x), weight + smooth.log_prob(x))
    assert not found.is_atom(x).any()
    masses, jumps = found.atom_masses, found.atoms.tolist()
    density = integrate(lambda x: found.log_prob(x).exp(), found, -60.0, 60.0, jumps=jumps)
    assert (density + masses.sum()).item() == pytest.approx(1, abs=1e-7)
    for end in (-1.5, 3.5):
        below = integrate(
            lambda x, end=end: found.log_prob(x).exp() * (x < end),
            found,
            -60.0,
            60.0,
            jumps=[*jumps, end],
        )
        passed = masses[found.atoms < end].sum()
        torch.testing.assert_close(found.cdf(x.new_tensor(end)), below + passed)


def test_atoms_cost_one_more_row_than_there_are_atoms():
    count = sum(p.numel() for p in FourierHead(128, Interval(-1, 1, (3,)), 14).parameters())
    both = FourierHead(128, Interval(-1, 1, (3,)), 14, ends="even", atoms="bounds")
    assert sum(p.numel() for p in both.parameters()) == count + 3 * 3 * 129


BAD = [
    (INTERVAL, {"ends": "odd"}, "ends='odd'"),
    (INTERVAL, {"atoms": "ends"}, "atoms='ends'"),
    (INTERVAL, {"atoms": []}, r"atoms=\[\]"),
    (INTERVAL, {"atoms": [0.0, 0.0]}, r"atoms=\[0.0, 0.0\]"),
    (INTERVAL, {"atoms": [0.0, 4.0]}, r"atoms=\[4.0\]"),
    (INTERVAL, {"atoms": [0.0, float("nan")]}, "nan"),
    (INTERVAL, {"atoms": [0.1, 0.2], "bins": 4}, r"atoms=\[0.1, 0.2\]"),
    (Tokens(7), {"atoms": [0.5]}, r"atoms=\[0.5\]"),
    (Tokens(7), {"atoms": [float("nan")]}, r"atoms=\[nan\]"),
    (Tokens(7), {"atoms": [1], "specials": 2}, r"atoms=\[1.0\]"),
    (Tokens(1), {"atoms": "bounds"}, "atoms='bounds'"),
]


@pytest.mark.parametrize(("support", "options", "said"), BAD)
def test_atoms_that_cannot_be_end_in_one_sentence(support, options, said):
    with pytest.raises(ValueError, match=r"^FourierHead: [^\n]*" + said + r"[^\n]*\.$"):
        FourierHead(8, support, 3, **options)


def test_warps_have_no_ends():
    with pytest.raises(ValueError, match=r"^FourierHead: a warp leaves no ends .*\.$"):
        FourierHead(8, INTERVAL, 3, warp=TanhWarp, ends="even")


@pytest.mark.parametrize("head", [NormalHead, StudentTHead, MixtureHead])
def test_a_censored_head_is_the_same_head_clipped(head):
    torch.manual_seed(0)
    plain, clipped = head(8, INTERVAL), head(8, INTERVAL, censored=True)
    clipped.load_state_dict(plain.state_dict())
    hidden = torch.randn(5, 8)
    torch.manual_seed(1)
    drawn = plain(hidden).sample((100,))
    torch.manual_seed(1)
    torch.testing.assert_close(clipped(hidden).sample((100,)), drawn.clamp(-1.0, 3.0))
    inside = torch.full((5,), 0.3)
    torch.testing.assert_close(clipped(hidden).log_prob(inside), plain(hidden).log_prob(inside))
    low = torch.full((5,), -1.0)
    torch.testing.assert_close(clipped(hidden).log_prob(low).exp(), plain(hidden).cdf(low))
