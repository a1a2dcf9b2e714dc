"""Outcomes that are drawn from the predictions are calibrated, others are not."""

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

from components.data import SequenceBatch
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
    ranks = ranks_of(lambda _: Independent(Normal(location, width), 1), batch)
    assert len(ranks) == COUNT - 2, "each component counts"
    shares = torch.histc(ranks, 10, 0, 1) / len(ranks)
    off = (shares - 0.1).abs().max().item()
    assert off < TOLERANCE if width == 1 else off > 0.05


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
        page(lambda _: said, [(0, batch)], "")
