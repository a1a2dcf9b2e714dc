"""What deletions cost a model that was trained for a while, in text that it was not judged by."""

import numpy as np
import pytest

from framework.papers.token_encoding import Contexts
from framework.papers.token_encoding.pruning.deletion import Deletion
from framework.papers.token_encoding.pruning.divergence import diverge
from framework.papers.token_encoding.pruning.saliency import SALIENCIES, Saliency
from framework.papers.token_encoding.pruning.sweep import orders

STEPS = (0, 3, 6, 13, 19, 26, 32)  # of 64 dimensions: 0, 5, 10, 20, 30, 40, 50 %
COUNT = 256  # contexts


@pytest.fixture(scope="module")
def costs(trained):
    """What each order costs at each step, with zeros and with the mean."""
    known, held = trained.fit, trained.held_out.contexts
    contexts = Contexts(held.hidden[:COUNT], held.target[:COUNT])
    saliency = Saliency(trained.readout, known, trained.data.vocabulary_size)
    found = {}
    for name, order in orders(saliency, SALIENCIES).items():
        for mean in (None, known.mean):
            deletions = [Deletion(order, count, mean) for count in STEPS]
            found[name, mean is not None] = diverge(trained.readout, contexts, deletions)
    return found


def test_nothing_deleted_costs_nothing_and_more_costs_more(costs):
    for key, each in costs.items():
        assert each[0] == (0.0, 0.0, 0.0, 1.0), key
        assert (np.diff([cost.kl for cost in each]) > 0).all(), key


def test_half_of_the_directions_cost_less_than_half_of_the_dimensions(costs):
    rotated = costs["rotated", True][-1].kl
    others = [each[-1].kl for (name, _), each in costs.items() if name != "rotated"]
    assert rotated < 0.02
    assert rotated < 0.1 * min(others)


def test_the_mean_is_better_than_zero(costs):
    """By the paper's order, from a fifth of the dimensions on."""
    for zeros, folded in zip(costs["absA_sd", False][3:], costs["absA_sd", True][3:], strict=True):
        assert folded.kl < zeros.kl


def test_energy_is_better_than_chance(costs):
    at = STEPS.index(19)
    chance = [costs[f"random {seed}", False][at].kl for seed in range(3)]
    assert costs["energy", False][at].kl < np.mean(chance)
