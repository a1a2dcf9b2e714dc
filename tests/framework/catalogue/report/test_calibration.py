"""Outcomes that are drawn from the predictions are calibrated, others are not."""

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from components.data import SequenceBatch
from components.distributions import Affine, Censored, WithAtoms
from framework.catalogue.report.calibration import (
    _of_choices,
    _of_quantities,
    ranks_of,
    reliability,
)
from framework.console.errors import UserError

COUNT = 20_000
TOLERANCE = 4 / COUNT**0.5  # four standard deviations of a share


@pytest.mark.parametrize("temper", [1.0, 2.0])
def test_probabilities_are_reliable_if_outcomes_are_drawn_from_them(temper):
    generator = torch.Generator().manual_seed(0)
    probs = (1.5 * torch.randn(COUNT, 5, generator=generator)).softmax(-1)
    outcome = torch.multinomial(probs, 1, generator=generator)[:, 0]
    said = Categorical(logits=temper * probs.log()).probs
    confidence, likeliest = said.max(-1)
    found = reliability(confidence, likeliest == outcome)
    assert found.share.sum() == pytest.approx(1)
    assert found.error < TOLERANCE if temper == 1 else found.error > 0.1
    mean = (found.share * found.predicted).sum().item()
    assert mean == pytest.approx(confidence.double().mean().item(), abs=1e-6)


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_ranks_are_uniform_if_outcomes_are_drawn_from_the_prediction(width):
    generator = torch.Generator().manual_seed(1)
    location = torch.randn(COUNT // 2, 1, 2, generator=generator)
    target = location + torch.randn(location.shape, generator=generator)
    target[0] = torch.nan  # which does not count
    weight = torch.ones(COUNT // 2, 1)
    weight[0] = 0
    batch = SequenceBatch(features=location, target=target, weight=weight)
    numbers = torch.arange(COUNT // 2)
    ranks = ranks_of(lambda _: Independent(Normal(location, width), 1), numbers, batch)
    assert len(ranks) == COUNT - 2, "each component counts"
    shares = torch.histc(ranks, 10, 0, 1) / len(ranks)
    off = (shares - 0.1).abs().max().item()
    assert off < TOLERANCE if width == 1 else off > 0.05


def with_atoms(location):
    """At an end of what is predicted, and within."""
    logits = torch.stack((location, -location, torch.ones_like(location)), -1)
    return WithAtoms(Normal(location, 1.0), logits, (0.0, 0.7))


def censored(location):
    return Censored(Normal(location, 1.0), -0.5, 0.5)


@pytest.mark.parametrize("make", [censored, with_atoms])
@pytest.mark.parametrize("off", [0.0, 1.0])
def test_ranks_of_point_masses_are_uniform_in_batches_of_any_size(make, off):
    torch.manual_seed(2)
    location = torch.randn(COUNT // 2, 1, 2)
    target = make(location + off).sample()
    assert make(location).is_atom(target).double().mean() > 0.2

    def ranks(size):
        return torch.cat(
            [
                ranks_of(
                    lambda batch: Independent(make(batch.features), 1, validate_args=False),
                    numbers,
                    SequenceBatch(location[numbers], target[numbers], torch.ones(len(numbers), 1)),
                )
                for numbers in torch.arange(len(location)).split(size)
            ]
        )

    found = ranks(COUNT)
    apart = (torch.histc(found, 10, 0, 1) / len(found) - 0.1).abs().max().item()
    assert apart < TOLERANCE if off == 0 else apart > 0.05
    assert torch.equal(ranks(7), found)


@pytest.mark.parametrize("value", [-3.0, -0.5, 0.5, 3.0])
def test_what_lies_beyond_a_bound_ranks_as_if_on_it(value):
    location, target = torch.zeros(COUNT, 1), torch.full((COUNT, 1), value)
    batch = SequenceBatch(location, target, torch.ones(COUNT, 1))
    ranks = ranks_of(lambda _: censored(location), torch.arange(COUNT), batch)
    ends = torch.tensor([0.0, Normal(0.0, 1.0).cdf(torch.tensor(-0.5))])
    ends = ends if value < 0 else 1 - ends.flip(0)
    torch.testing.assert_close(torch.stack(ranks.aminmax()), ends, atol=1e-3, rtol=0)
    assert ranks.mean().item() == pytest.approx(ends.mean().item(), abs=TOLERANCE)


def test_ranks_of_densities_are_those_of_their_cdf():
    location, target = torch.randn(2, 5, 1, generator=torch.Generator().manual_seed(3))
    said = Affine(Normal(location, 1.0), torch.ones(1), torch.full((1,), 2.0))
    batch = SequenceBatch(location, target, torch.ones(5, 1))
    found = ranks_of(lambda _: said, torch.arange(5), batch)
    assert torch.equal(found, said.cdf(target).flatten())


@pytest.mark.parametrize("page", [_of_choices, _of_quantities])
def test_a_model_that_diverged_is_no_model_to_measure(page):
    nothing = torch.full((3, 1, 2), torch.nan)
    kind = {"probs": nothing, "validate_args": False}
    said = (
        Categorical(**kind) if page is _of_choices else Normal(nothing, 1.0, validate_args=False)
    )
    target = torch.zeros(3, 1) if page is _of_choices else torch.zeros(3, 1, 2)
    batch = SequenceBatch(features=nothing, target=target, weight=torch.ones(3, 1))
    with pytest.raises(UserError, match="diverged; drop --calibration"):
        page(lambda _: said, [(torch.arange(3), batch)], "")
