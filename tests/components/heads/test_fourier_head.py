import json
import math
from pathlib import Path

import pytest
import torch

from components.heads.fourier import FourierHead
from components.metrics.smoothness import smoothness
from components.supports import Interval, Tokens

CASES = json.loads(Path(__file__).with_name("fourier.json").read_text())["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def official(case, dtype, support=None):
    """Loads the weights of a golden case under the names that the authors give them."""
    head = FourierHead(
        case["d_in"], support or Tokens(case["n_bins"]), case["n_freqs"], eps=case["eps"]
    ).to(dtype)
    weights = {
        "fc_extract_autocorrelation_params.weight": torch.tensor(case["W"], dtype=dtype),
        "fc_extract_autocorrelation_params.bias": torch.tensor(case["b"], dtype=dtype),
    }
    head.load_state_dict(weights)
    return head


@every_case
def test_the_authors_layer_gives_the_same_in_float32(case):
    head, golden = official(case, torch.float32), case["official_fp32"]
    prediction = head(torch.tensor(case["x"]))
    expected = torch.tensor(golden["logits"])
    tails = expected <= -6
    error = (prediction.logits - expected).abs()
    assert error[~tails].max() <= 1e-5
    assert error[tails].numel() == 0 or error[tails].max() <= 2e-4
    loss = -prediction.log_prob(torch.tensor(case["target"])).mean()
    assert loss.item() == pytest.approx(golden["ce"], abs=1e-5)
    loss.backward()
    weight, bias = torch.tensor(golden["grad_W"]), torch.tensor(golden["grad_b"])
    assert (head.projection.weight.grad - weight).norm() <= 1e-4 * weight.norm()
    assert (head.projection.bias.grad - bias).norm() <= 1e-4 * bias.norm()


@every_case
def test_the_formulas_give_the_same_in_float64(case):
    head, golden = official(case, torch.float64), case["float64"]
    hidden = torch.tensor(case["x"], dtype=torch.float64, requires_grad=True)
    prediction = head(hidden)
    leak = 1 + case["n_bins"] * case["eps"]
    loss = -prediction.log_prob(torch.tensor(case["target"])).mean()
    loss.backward()
    found = {
        "logits": prediction.logits,
        "pmf": prediction.probs * leak - case["eps"],
        "ce": loss,
        "grad_W_of_ce": head.projection.weight.grad,
        "grad_b_of_ce": head.projection.bias.grad,
        "grad_x_of_ce": hidden.grad,
        "smoothness_pmf": smoothness(prediction.probs * leak - case["eps"]),
    }
    for name, value in found.items():
        expected = torch.tensor(golden[name], dtype=torch.float64)
        torch.testing.assert_close(value.detach(), expected, rtol=0, atol=1e-9, msg=name)


def test_the_density_of_the_formulas():
    case = CASES[0] | {"eps": 0.0}
    golden = case["float64"]["mle"]
    head = official(case, torch.float64, Interval(-1.0, 1.0))
    distribution = head(torch.tensor(case["x"][0], dtype=torch.float64))
    z = torch.tensor(golden["z"], dtype=torch.float64)
    for found, expected in (
        (distribution.log_prob(z).exp(), "density"),
        (distribution.cdf(z), "cdf"),
    ):
        values = torch.tensor(golden[expected], dtype=torch.float64)
        torch.testing.assert_close(found.detach(), values, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("dim", "frequencies", "parameters"),
    [
        (2, 2, 18),
        (32, 12, 858),
        (128, 8, 2322),
        (128, 14, 3870),
        (128, 32, 8514),
        (384, 64, 50050),
        (384, 550, 424270),
        (512, 550, 565326),
        (768, 2, 4614),
    ],
)
def test_published_numbers_of_parameters(dim, frequencies, parameters):
    head = FourierHead(dim, Tokens(18), frequencies)
    assert sum(each.numel() for each in head.parameters()) == parameters


@pytest.mark.parametrize("bins", [None, 50])
def test_vectors_have_coefficients_of_their_own(bins):
    head = FourierHead(4, Interval(0.0, 1.0, (3,)), 2, bins=bins)
    assert head.projection.out_features == 3 * 6


@pytest.mark.parametrize(("frequencies", "cells"), [(2, 18), (8, 18), (12, 50), (64, 4096)])
def test_no_cell_gets_more_than_the_capacity_bound_and_some_distribution_attains_it(
    frequencies, cells
):
    torch.manual_seed(0)
    head = FourierHead(4, Tokens(cells), frequencies).double()
    bound = (frequencies + 1) / cells
    with torch.no_grad():
        head.projection.weight.normal_()
    wild = head(torch.randn(200, 4, dtype=torch.float64)).probs
    assert wild.max() <= bound + 1e-12
    cell = cells // 3
    angle = math.pi * torch.arange(frequencies + 1) * (2 * cell + 1 - cells) / cells
    with torch.no_grad():
        head.projection.bias.copy_(torch.cat((angle.cos(), -angle.sin())))
    spike = head(torch.zeros(4, dtype=torch.float64)).probs
    assert spike.argmax() == cell
    assert spike[cell].item() == pytest.approx(bound, abs=1e-6)


def divergence(head, hidden):
    """Mean Kullback-Leibler divergence of the predictions from the uniform distribution."""
    prediction = head(hidden)
    return (math.log(prediction.size) - prediction.entropy()).mean().item()


def test_official_start_is_a_random_distribution_whatever_the_weights_are_divided_by():
    """The authors' layer gives .386 .398 .390 .383 for seeds 0 to 3."""
    for seed in range(4):
        torch.manual_seed(seed)
        head = FourierHead(32, Tokens(50), 12, init="official")
        hidden = torch.randn(512, 32).relu()
        found = divergence(head, hidden)
        assert found == pytest.approx(0.39, abs=0.03)
        for factor in (100, 0.1, 0.001):  # divided by 1, by 10, by 10 000
            with torch.no_grad():
                head.projection.weight.mul_(factor)
                head.projection.bias.mul_(factor)
            assert divergence(head, hidden) == pytest.approx(found, rel=1e-3)


def test_uniform_start_is_close_to_the_uniform_distribution():
    torch.manual_seed(0)
    head = FourierHead(32, Tokens(50), 12)
    assert 0 < divergence(head, torch.randn(512, 32).relu()) < 1e-3


def test_no_coefficients_at_all_mean_the_uniform_distribution():
    head = FourierHead(4, Tokens(5), 2)
    with torch.no_grad():
        head.projection.bias.zero_()
    assert head(torch.zeros(4)).log_prob(torch.tensor(1)).item() == pytest.approx(-math.log(5))


def test_bins_score_like_the_density_they_resolve():
    torch.manual_seed(0)
    fine = FourierHead(4, Interval(-3.0, 5.0), 4, bins=4096, init="official").double()
    smooth = FourierHead(4, Interval(-3.0, 5.0), 4).double()
    smooth.load_state_dict(fine.state_dict())
    hidden = torch.randn(50, 4, dtype=torch.float64)
    value = -3 + 8 * torch.rand(50, dtype=torch.float64)
    difference = fine(hidden).log_prob(value).exp() - smooth(hidden).log_prob(value).exp()
    assert difference.abs().max() < 2e-3
