"""Laws of all losses over all distributions, and the closed form of each loss."""

import math

import numpy as np
import pytest
import torch
from every_prediction import PREDICTIONS, TOKENS, B, K, T, raw_for, target_for
from scipy import integrate, stats
from torch.distributions import Independent, Normal
from torch.nn.functional import cross_entropy

from components.distributions import Affine, Categorical, FourierDensity, Histogram
from components.distributions.scores import pinball
from components.losses.gaussian_labels import HLGauss
from components.losses.likelihood import CRPS, LabelSmoothing, NegativeLogLikelihood
from components.losses.pointwise import Huber, Pinball, SquaredError
from components.losses.regularizers import CoefficientPenalty, Entropy, Roughness, ZLoss
from components.testing import LOSS_LAWS

LOSSES = [
    NegativeLogLikelihood,
    LabelSmoothing,
    HLGauss,
    SquaredError,
    Huber,
    Pinball,
    CRPS,
    ZLoss,
    Roughness,
    CoefficientPenalty,
    Entropy,
]
HISTOGRAMS = {"fourier_histogram", "masses_histogram", "even_histogram_with_atoms"}
COEFFICIENTS = {
    *HISTOGRAMS,
    "fourier_categorical",
    "fourier_density",
    "even_fourier_density",
    "with_atoms",
    "categorical_with_specials",
    "transformed_fourier",
}
CELLS = {*HISTOGRAMS, *TOKENS, "histogram"}
RAW = {"categorical", "histogram"}


def kind(distribution):
    return distribution.removeprefix("vector_").removeprefix("moved_")


def refused(loss, distribution):
    """Which losses no distribution of a kind can have."""
    if loss is LabelSmoothing:
        return kind(distribution) not in CELLS
    if loss is HLGauss:
        return kind(distribution) not in {*HISTOGRAMS, "histogram"}
    if loss is CoefficientPenalty:
        return kind(distribution) not in COEFFICIENTS
    if loss is ZLoss:
        return kind(distribution) not in RAW
    if loss is Roughness:
        return kind(distribution) == "censored"
    return loss is Pinball and distribution in TOKENS


PAIRS = [(loss, distribution) for loss in LOSSES for distribution in PREDICTIONS]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("loss", "distribution"), [pair for pair in PAIRS if not refused(*pair)])
@pytest.mark.parametrize("law", LOSS_LAWS, ids=lambda law: law.__name__)
def test_every_loss(law, loss, distribution):
    law(loss, PREDICTIONS[distribution], raw_for(distribution), target_for(distribution))


@pytest.mark.parametrize(("loss", "distribution"), [pair for pair in PAIRS if refused(*pair)])
def test_a_loss_that_a_distribution_cannot_have_is_refused_in_one_sentence(loss, distribution):
    prediction = PREDICTIONS[distribution](raw_for(distribution))
    inner = (
        "histogram" if kind(distribution) in HISTOGRAMS else kind(distribution).replace("_", "")
    )
    with pytest.raises(ValueError, match=rf"(?i){loss.__name__} cannot score a {inner}[^\n]*\.$"):
        loss()(prediction, target_for(distribution))


@pytest.mark.parametrize("loss", LOSSES)
def test_components_of_a_vector_add_up(loss):
    distribution = "fourier_histogram" if loss is CoefficientPenalty else "histogram"
    raw, target = raw_for("vector_histogram"), target_for("vector_histogram")
    whole = loss()(PREDICTIONS[f"vector_{distribution}"](raw), target)
    parts = [loss()(PREDICTIONS[distribution](raw[:, :, a]), target[:, :, a]) for a in range(2)]
    torch.testing.assert_close(whole, parts[0] + parts[1])


def test_nll_is_torchs_cross_entropy():
    raw, target = raw_for("categorical"), target_for("categorical")
    expected = cross_entropy(raw.movedim(-1, 1), target, reduction="none")
    torch.testing.assert_close(NegativeLogLikelihood()(Categorical(raw), target), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing_is_torchs(smoothing):
    raw, target = raw_for("categorical"), target_for("categorical")
    expected = cross_entropy(
        raw.movedim(-1, 1), target, reduction="none", label_smoothing=smoothing
    )
    torch.testing.assert_close(LabelSmoothing(smoothing)(Categorical(raw), target), expected)


def test_label_smoothing_of_a_histogram_is_the_integral():
    raw, target = raw_for("histogram"), target_for("histogram")
    distribution = _moved_histogram(raw)
    grid = torch.linspace(0, 1, 100_001)[:-1] + 5e-6
    points = 2 + 3 * grid
    everywhere = -distribution.log_prob(points[:, None, None]).mean(0)
    target = 2 + 3 * target
    expected = -0.7 * distribution.log_prob(target) + 0.3 * everywhere
    torch.testing.assert_close(
        LabelSmoothing(0.3)(distribution, target), expected, rtol=1e-4, atol=1e-4
    )


def _moved_histogram(raw):
    return Affine(PREDICTIONS["histogram"](raw), torch.tensor(2.0), torch.tensor(3.0))


def test_squared_error_of_a_normal_distribution_is_that_of_its_location():
    loc, scale, target = torch.randn(3, B, T).unbind(0)
    found = SquaredError()(Normal(loc, scale.exp()), target)
    torch.testing.assert_close(found, (loc - target).square())


def test_squared_error_over_tokens_is_that_of_the_mean_number():
    raw, target = raw_for("categorical"), target_for("categorical")
    mean = raw.softmax(-1) @ torch.arange(K).float()
    torch.testing.assert_close(SquaredError()(Categorical(raw), target), (mean - target).square())


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_huber_of_the_mean_is_that_of_torch(delta):
    mean, target = torch.linspace(-5, 5, 61)[None], torch.linspace(4, -4, 61)[None]
    found = Huber(delta)(Normal(mean, torch.ones_like(mean)), target)
    expected = torch.nn.HuberLoss(reduction="none", delta=delta)(mean, target)
    torch.testing.assert_close(found, expected)
    error = (mean - target).abs()
    by_hand = torch.where(error <= delta, error.square() / 2, delta * (error - delta / 2))
    torch.testing.assert_close(found, by_hand)


def test_huber_of_vectors_adds_up_their_components():
    raw, target = raw_for("vector_normal"), target_for("vector_normal")
    parts = [Huber()(PREDICTIONS["normal"](raw[:, :, a]), target[:, :, a]) for a in range(2)]
    torch.testing.assert_close(
        Huber()(PREDICTIONS["vector_normal"](raw), target), parts[0] + parts[1]
    )


def test_pinball_of_a_normal_distribution_uses_the_quantiles_of_scipy():
    loc, target = torch.randn(2, B, T, dtype=torch.float64).unbind(0)
    distribution, levels = Normal(loc, torch.full_like(loc, 2.0)), [0.1, 0.25, 0.9]
    expected = torch.zeros_like(loc)
    for level in levels:
        difference = target - torch.from_numpy(stats.norm.ppf(level, loc, 2.0))
        losses = torch.where(difference > 0, level * difference, (level - 1) * difference)
        expected += losses / 3
    torch.testing.assert_close(
        Pinball(levels)(distribution, target), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("distribution", ["histogram", "fourier_density", "student", "mixture"])
def test_pinball_over_many_levels_is_half_the_crps(distribution):
    prediction, target = PREDICTIONS[distribution](raw_for(distribution)), target_for(distribution)
    count = 2000
    levels = [(k + 0.5) / count for k in range(count)]
    half = CRPS()(prediction, target) / 2
    torch.testing.assert_close(Pinball(levels)(prediction, target), half, rtol=2e-3, atol=1e-4)


def test_pinball_of_scaled_values_is_that_of_the_formula_in_any_units():
    base, target = Normal(torch.randn(B, T), torch.rand(B, T) + 0.5), torch.randn(B, T)
    loc, scale = torch.randn(B, 1), torch.tensor([[0.01], [1000.0]])
    loss = Pinball([0.2, 0.7], knee=3.0)
    expected = torch.stack(
        [
            pinball(3 * (base.icdf(torch.tensor(tau)) / 3).asinh(), 3 * (target / 3).asinh(), tau)
            for tau in (0.2, 0.7)
        ]
    ).mean(0)
    torch.testing.assert_close(loss(base, target), expected)
    found = loss(Affine(base, loc, scale), loc + scale * target)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_quantiles_minimize_pinball_of_scaled_values_too():
    values = 3 * torch.randn(20_001, generator=torch.Generator().manual_seed(0))
    grid = torch.linspace(-4, 4, 801)
    for tau in (0.1, 0.5, 0.9):
        scores = pinball(grid.asinh()[:, None], values.asinh(), tau).mean(1)
        assert grid[scores.argmin()] == pytest.approx(values.quantile(tau).item(), abs=0.02)


def test_pinball_sees_through_units_of_vectors():
    raw, target = raw_for("vector_histogram"), target_for("vector_histogram")
    loc, scale = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    base = PREDICTIONS["vector_histogram"](raw)
    found = Pinball()(Affine(base, loc, scale), loc + scale * target)
    parts = [
        scale[a] * Pinball()(PREDICTIONS["histogram"](raw[:, :, a]), target[:, :, a])
        for a in range(2)
    ]
    torch.testing.assert_close(found, parts[0] + parts[1])


@pytest.mark.parametrize("distribution", ["histogram", "normal", "mixture", "moved_histogram"])
def test_crps_is_its_integral(distribution):
    prediction, target = PREDICTIONS[distribution](raw_for(distribution)), target_for(distribution)
    low, high = -60.0, 60.0
    grid = torch.linspace(low, high, 240_001)
    steps = (grid[:, None, None] >= target).float()
    with torch.no_grad():
        values = (prediction.cdf(grid[:, None, None].expand_as(steps)) - steps).square()
    expected = torch.from_numpy(integrate.trapezoid(values.numpy(), dx=5e-4, axis=0)).float()
    torch.testing.assert_close(CRPS()(prediction, target), expected, rtol=1e-3, atol=1e-3)


def test_z_loss_is_the_squared_normalizer():
    raw, target = raw_for("categorical"), target_for("categorical")
    expected = raw.exp().sum(-1).log().square()
    torch.testing.assert_close(ZLoss()(Categorical(raw), target), expected)


def test_z_loss_sees_the_logits_of_a_moved_histogram():
    raw, target = raw_for("histogram"), target_for("histogram")
    expected = raw.exp().sum(-1).log().square()
    torch.testing.assert_close(ZLoss()(_moved_histogram(raw), target), expected)


def test_roughness_of_a_fourier_density_is_the_integral_of_its_squared_slope():
    raw = torch.randn(B, T, K, dtype=torch.float64, requires_grad=True)
    distribution = FourierDensity(raw, 0.0, 1.0)
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    density = distribution.log_prob(x[:, None, None]).exp()
    expected = (density.diff(dim=0) * 20_000).square().mean(0)
    found = Roughness()(distribution, target_for("fourier_density"))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_roughness_does_not_depend_on_the_scale_of_coefficients():
    raw, target = raw_for("fourier_density"), target_for("fourier_density")
    there, here = (Roughness()(FourierDensity(raw * c, 0.0, 1.0), target) for c in (1.0, 100.0))
    torch.testing.assert_close(there, here)


def test_entropy_of_known_distributions():
    target = torch.zeros(B, T)
    normal = Normal(torch.zeros(B, T), torch.full((B, T), 2.0))
    assert Entropy()(normal, target)[0, 0].item() == pytest.approx(-stats.norm(0, 2).entropy())
    even = Histogram(Categorical(torch.zeros(B, T, K)), torch.linspace(0, 5, K + 1))
    assert Entropy()(even, target)[0, 0].item() == pytest.approx(-math.log(5), abs=1e-6)
    both = Independent(normal, 1)
    assert Entropy()(both, target)[0].item() == pytest.approx(-T * stats.norm(0, 2).entropy())


@pytest.mark.parametrize(
    ("loss", "options", "said"),
    [
        (LabelSmoothing, {"smoothing": 1.5}, "smoothing=1.5"),
        (LabelSmoothing, {"smoothing": -0.1}, "smoothing=-0.1"),
        (Huber, {"delta": 0.0}, "delta=0.0"),
        (Pinball, {"levels": []}, r"levels=\[\]"),
        (Pinball, {"levels": [0.0, 0.5]}, r"levels=\[0.0, 0.5\]"),
        (Pinball, {"levels": "0.5"}, "levels='0.5' is not a number"),
        (Pinball, {"levels": [[0.5]]}, r"levels=\[0.5\] is not a number"),
        (Pinball, {"levels": None}, "levels=None is not a number"),
        (Pinball, {"knee": math.inf}, "knee=inf"),
        (HLGauss, {"sigma": math.inf}, "sigma=inf"),
        (HLGauss, {"sigma": np.ones(2)}, r"sigma=array\(\[1., 1.\]\) is not a number"),
        (CRPS, {"weight": math.nan}, "weight=nan"),
        (CRPS, {"weight": math.inf}, "weight=inf"),
    ],
)
def test_options_out_of_range_end_in_one_sentence(loss, options, said):
    with pytest.raises(ValueError, match=said + r"[^\n]*\.$"):
        loss(**options)


@pytest.mark.parametrize(
    ("levels", "plain"),
    [
        (np.array([0.25, 0.5]), (0.25, 0.5)),
        (torch.tensor([0.25, 0.5]), (0.25, 0.5)),
        (0.5, (0.5,)),
        (torch.tensor(0.5), (0.5,)),
    ],
)
def test_levels_may_be_arrays_or_a_number(levels, plain):
    assert Pinball(levels).levels == plain
    assert all(type(level) is float for level in Pinball(levels).levels)
