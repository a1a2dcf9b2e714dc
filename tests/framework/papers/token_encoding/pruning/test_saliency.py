"""Saliencies against their formulas, in centered columns."""

import numpy as np
import pytest
import torch

from framework.papers.token_encoding import Contexts, Readout
from framework.papers.token_encoding.pruning.saliency import SALIENCIES, Saliency
from tests.framework.papers.token_encoding.pruning.uneven import DIM, statistics, uneven


def least_squares(own, known):
    """Slope and standard errors of -log alpha on rows, by the normal equations in float64."""
    rows = own.weight.double().numpy()
    rows = np.column_stack((rows, np.ones(len(rows))))
    target = -known.alpha.log().numpy()
    if own.bias is not None:
        target = target + own.bias.double().numpy()
    solution = np.linalg.solve(rows.T @ rows, rows.T @ target)
    variance = np.square(target - rows @ solution).sum() / (len(rows) - DIM - 1)
    errors = np.sqrt(variance * np.linalg.inv(rows.T @ rows).diagonal())
    return solution[:-1], errors[:-1]


@pytest.mark.parametrize("bias", [False, True])
def test_orders_are_those_of_the_formulas(bias):
    own, known, _ = uneven(bias=bias)
    slope, errors = least_squares(own, known)
    rows, hidden = own.weight.double().numpy(), known.contexts.hidden.double().numpy()
    expected = {
        "absA_sd": np.abs(slope) * rows.std(0),
        "absA": np.abs(slope),
        "t": np.abs(slope) / errors,
        "energy": rows.var(0) * np.square(hidden).mean(0),
        "energy_var": rows.var(0) * hidden.var(0),
    }
    expected["reverse"] = -expected["absA_sd"]
    saliency = Saliency(own, known)
    for name, scores in expected.items():
        assert saliency.order(name).index.tolist() == np.argsort(scores).tolist(), name
    assert set(expected) | {"random", "rotated"} == set(SALIENCIES)


def test_random_orders_are_permutations_that_a_seed_decides():
    own, known, _ = uneven()
    saliency = Saliency(own, known)
    orders = [saliency.order("random", seed).index.tolist() for seed in (0, 1, 2, 0)]
    assert all(sorted(order) == list(range(DIM)) for order in orders)
    assert len({tuple(order) for order in orders[:3]}) == 3
    assert orders[3] == orders[0]


def test_scales_of_dimensions_do_not_change_the_order_of_the_paper():
    """E diag(s) reads h / s: the same model."""
    own, known, _ = uneven()
    scale = torch.logspace(-1, 1, DIM)
    scaled = Readout(own.weight * scale, None)
    contexts = Contexts(known.contexts.hidden / scale, known.contexts.target)
    other = Saliency(scaled, statistics(scaled, contexts))
    first = Saliency(own, known)
    for name in ("absA_sd", "t", "energy", "energy_var", "reverse"):
        assert torch.equal(other.order(name).index, first.order(name).index), name
    assert not torch.equal(other.order("absA").index, first.order("absA").index)


@pytest.mark.parametrize("name", ["absA_sd", "energy", "energy_var"])
def test_what_all_tokens_share_goes_first(name):
    own, known, _ = uneven()
    weight = own.weight.clone()
    weight[:, 4] = 5.0
    shared = Readout(weight, None)
    order = Saliency(shared, statistics(shared, known.contexts)).order(name)
    assert order.index[0] == 4


def test_tokens_that_fill_up_the_vocabulary_do_not_count():
    own, known, _ = uneven()
    filled = own.weight.clone()
    filled[70:] = 100 * torch.rand(10, DIM)
    cut = Saliency(Readout(own.weight[:70], None), known)
    assert torch.equal(Saliency(Readout(filled, None), known, 70).deviation, cut.deviation)


def test_an_unknown_saliency_ends_in_one_sentence():
    own, known, _ = uneven()
    with pytest.raises(ValueError, match=r"prune: saliency='absB' is none; .*rotated\.$"):
        Saliency(own, known).order("absB")
