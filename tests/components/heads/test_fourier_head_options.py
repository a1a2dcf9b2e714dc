"""The options of the Fourier head: exact masses, special tokens, a layer in front, warps."""

import math
import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

from components.binnings import MixedBins
from components.distributions import ErfWarp, FourierDensity, TanhWarp
from components.heads.fourier import FourierHead
from components.layers.fan import FanLayer
from components.layers.feedforward import FeedForward
from components.supports import Bins, Interval, Tokens

OFFICIAL = "fc_extract_autocorrelation_params."


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def wild(head):
    """Makes predictions of a head far from uniform."""
    with torch.no_grad():
        for parameter in head.projection.parameters():
            parameter.normal_()
    return head.double()


@pytest.mark.parametrize("prefix", ["", "head.", "model.head."])
def test_official_weights_load_as_they_are(prefix):
    model = head = FourierHead(4, Tokens(18), 3)
    for name in reversed(prefix.split(".")[:-1]):
        model = nn.ModuleDict({name: model})
    weights = torch.randn(8, 4), torch.randn(8)
    state = {f"{prefix}{OFFICIAL}weight": weights[0], f"{prefix}{OFFICIAL}bias": weights[1]}
    model.load_state_dict(state)
    torch.testing.assert_close(tuple(head.projection.parameters()), weights)
    assert list(state) == [f"{prefix}{OFFICIAL}weight", f"{prefix}{OFFICIAL}bias"]
    assert set(model.state_dict()) == {f"{prefix}projection.weight", f"{prefix}projection.bias"}
    model.load_state_dict(model.state_dict())


def test_official_weights_of_another_size_are_refused():
    with pytest.raises(RuntimeError, match=r"size mismatch for projection\.weight"):
        FourierHead(4, Tokens(18), 3).load_state_dict(
            {f"{OFFICIAL}weight": torch.zeros(10, 4), f"{OFFICIAL}bias": torch.zeros(10)}
        )


@pytest.mark.parametrize(
    ("support", "bins"),
    [
        (Interval(-15.0, 15.0), MixedBins(60)),
        (Interval(-15.0, 15.0), 12),
        (Bins((0.0, 1.0, 1.5, 9.0)), None),
    ],
)
def test_exact_cells_have_the_mass_of_the_density_between_their_edges(support, bins):
    head = wild(FourierHead(4, support, 7, bins=bins, mass="exact"))
    hidden = torch.randn(3, 4, dtype=torch.float64)
    edges = torch.tensor(head.cells.edges, dtype=torch.float64)
    density = FourierDensity(head.projection(hidden), edges[0].item(), edges[-1].item())
    expected = density.cdf(edges.unsqueeze(-1)).diff(dim=0).T
    torch.testing.assert_close(head(hidden).cells.probs, expected)


def test_cells_of_any_width_have_the_density_at_even_centers_unless_asked():
    """The meaning in the paper, whose mixed bins are tokens to its layer."""
    mixed = wild(FourierHead(4, Interval(-15.0, 15.0), 7, bins=MixedBins(60)))
    tokens = FourierHead(4, Tokens(60), 7).double()
    tokens.load_state_dict(mixed.state_dict())
    hidden = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(mixed(hidden).cells.probs, tokens(hidden).probs)


def test_exact_tokens_are_even_cells():
    head = wild(FourierHead(4, Tokens(5), 9, mass="exact"))
    hidden = torch.randn(3, 4, dtype=torch.float64)
    edges = torch.linspace(-1, 1, 6, dtype=torch.float64)
    density = FourierDensity(head.projection(hidden), -1, 1)
    expected = density.cdf(edges.unsqueeze(-1)).diff(dim=0).T
    torch.testing.assert_close(head(hidden).probs, expected)


@pytest.mark.parametrize("mass", ["center", "exact"])
def test_special_tokens_get_any_probability(mass):
    """In the order, an end-of-sequence token is bounded by (N + 1) / cells."""
    head = FourierHead(4, Tokens(100), 3, mass=mass, specials=2)
    assert sum(each.numel() for each in head.parameters()) == 2 * 4 * 5 + 3 * 5
    with torch.no_grad():
        head.projection.bias[-2] = 20.0  # the logit of the second special token
    distribution = head(torch.zeros(4))
    assert distribution.probs[1] > 0.999
    assert distribution.probs.sum().item() == pytest.approx(1, abs=1e-6)
    assert -distribution.log_prob(torch.tensor(1)) < 1e-3 < math.log(100 / 4)


def test_tokens_in_order_are_a_smaller_fourier_head():
    head, ordered = wild(FourierHead(4, Tokens(20), 3, specials=2)), FourierHead(4, Tokens(18), 3)
    hidden = torch.randn(5, 4, dtype=torch.float64)
    ordered.double().load_state_dict(
        {name: value[:8] for name, value in head.state_dict().items()}
    )
    probs = head(hidden).probs[:, 2:]
    torch.testing.assert_close(probs / probs.sum(-1, keepdim=True), ordered(hidden).probs)


@pytest.mark.parametrize("specials", [0, 1, 19])
def test_training_starts_close_to_the_uniform_distribution_whatever_is_special(specials):
    distribution = FourierHead(4, Tokens(20), 3, specials=specials)(torch.randn(50, 4))
    assert (distribution.probs - 1 / 20).abs().max() < 0.2 / 20


@pytest.mark.parametrize("projection", [FanLayer, FeedForward])
def test_a_layer_in_front_changes_the_map_and_not_the_initial_distribution(projection):
    head = FourierHead(4, Tokens(20), 3, projection=projection)
    hidden = torch.randn(50, 4)
    first, last = head.projection
    assert isinstance(first, projection)
    assert (head(hidden).probs - 1 / 20).abs().max() < 0.2 / 20
    torch.testing.assert_close(head.projection(hidden), last(first(hidden)))
    assert not torch.equal(head.projection(hidden), last(hidden))


@pytest.mark.parametrize("warp", [TanhWarp, ErfWarp])
def test_outcomes_without_bounds_are_measured_in_the_interval(warp):
    head = wild(FourierHead(4, Interval(100.0, 300.0), 3, warp=warp))
    unit = wild(FourierHead(4, Interval(-1.0, 1.0), 3, warp=warp))
    unit.load_state_dict(head.state_dict())
    hidden, y = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    x = 200 + 100 * y
    found, expected = head(hidden), unit(hidden)
    torch.testing.assert_close(found.log_prob(x), expected.log_prob(y) - math.log(100))
    torch.testing.assert_close(found.cdf(x), expected.cdf(y))
    torch.testing.assert_close(found.mean, 200 + 100 * expected.mean)


def test_outcomes_beyond_the_bounds_give_a_warped_head_a_gradient():
    head = FourierHead(4, Interval(-1.0, 1.0), 3, warp=TanhWarp)
    near, far = head(torch.zeros(4)).log_prob(torch.tensor([3.0, 30.0]))
    assert far < near - 20


@pytest.mark.parametrize(
    ("support", "options"),
    [
        (Interval(-1.0, 1.0), {"warp": TanhWarp}),
        (Interval(-1.0, 1.0), {"bins": MixedBins(60, -0.5, 0.5), "mass": "exact"}),
        (Tokens(20), {"specials": 2, "projection": FanLayer}),
    ],
)
def test_heads_are_copied_and_sent_to_other_processes(support, options):
    head, hidden = FourierHead(4, support, 3, **options), torch.randn(5, 4)
    target = torch.zeros(5, dtype=torch.int64)
    expected = head(hidden).log_prob(target)
    for copy in (deepcopy(head), pickle.loads(pickle.dumps(head))):
        torch.testing.assert_close(copy(hidden).log_prob(target), expected)


@pytest.mark.parametrize(
    ("support", "options", "said"),
    [
        (Tokens(5), {"specials": 5}, "specials=5 must leave some of 5 tokens"),
        (Tokens(5), {"specials": -1}, "specials=-1"),
        (Interval(0.0, 1.0), {"specials": 1}, "specials=1 are tokens"),
        (Interval(0.0, 1.0), {"specials": 1, "bins": 9}, "specials=1 are tokens"),
        (Interval(0.0, 1.0), {"mass": "exact"}, "mass='exact' is for cells"),
        (Interval(0.0, 1.0), {"mass": "middle", "bins": 9}, "mass='middle' is neither"),
        (Interval(0.0, 1.0), {"warp": TanhWarp, "bins": 9}, "warp is for a density without cells"),
        (Bins((0.0, 1.0, 2.0)), {"warp": TanhWarp}, "warp is for a density without cells"),
        (Tokens(5), {"warp": TanhWarp}, "warp is for an Interval"),
    ],
)
def test_options_that_do_not_fit_end_in_one_sentence(support, options, said):
    with pytest.raises(ValueError, match=rf"^FourierHead: {said}[^\n]*\.$"):
        FourierHead(4, support, 3, **options)
