"""Behind a LayerNorm with bias nothing varies along one direction, which an edit finds."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from components import Decoder, FanHead, LayerNorm, RMSNorm
from framework.analysis import Sample
from framework.papers.token_encoding import gather
from framework.papers.token_encoding.editing.directions import DIRECTIONS
from tests.framework.papers.myopic.models import Windows
from tests.framework.papers.token_encoding.editing.readouts import DIM, know, make
from tests.framework.papers.token_encoding.models import language_model

STATES = make()[1].hidden.double() * 10 + 3


def norm(seed=0, bias=1.0):
    torch.manual_seed(seed)
    made = LayerNorm(DIM)
    with torch.no_grad():
        made.weight.add_(torch.randn(DIM) * 0.3)
        made.bias.add_(torch.randn(DIM) * bias)
    return made


def closed_form(made):
    """u / Σ b/g with u = 1/g: the centered state adds up to zero."""
    inverse = 1 / made.weight.detach().double()
    return inverse / (made.bias.detach().double() * inverse).sum()


def knows(hidden):
    hidden = hidden.detach().double()
    moments = (hidden.mean(0), torch.cov(hidden.T, correction=0))
    return replace(know(make()[1]), mean=moments[0], covariance=moments[1], positions=len(hidden))


def ln_exact(known):
    return DIRECTIONS["ln-exact"](known)


def is_refused(known):
    with pytest.raises(ValueError, match="ln-exact needs a vector"):
        ln_exact(known)
    return True


@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_closed_form_of_the_norm(seed, precise):
    """From moments of states in float64, and as float32 rounds them."""
    made = norm(seed)
    states = STATES if precise else STATES.float()
    hidden, expected = made(states), closed_form(made)
    push = ln_exact(knows(hidden))
    cosine = torch.nn.functional.cosine_similarity(push.row, expected, dim=0)
    assert 1 - cosine.item() < (1e-14 if precise else 1e-10)
    products = push.profile(hidden)
    torch.testing.assert_close(
        products, torch.ones_like(products), rtol=0, atol=1e-10 if precise else 1e-4
    )


def test_a_decoder_has_that_of_its_last_norm():
    """Gathered from a model in float32; 0.4 of noise on all of its gains and biases."""
    module = language_model()
    found = gather(module, Sample(Windows(40), None, 8))
    push = ln_exact(know_statistics(found))
    cosine = torch.nn.functional.cosine_similarity(
        push.row, closed_form(module.backbone.norm), dim=0
    )
    assert 1 - cosine.item() < 1e-8
    torch.testing.assert_close(
        push.profile(found.contexts.hidden),
        torch.ones(len(found.contexts), dtype=torch.float64),
        rtol=0,
        atol=1e-4,
    )


def know_statistics(found):
    own = replace(know(make()[1]), mean=found.mean, covariance=found.covariance)
    return replace(own, positions=found.positions)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": partial(Decoder, dim=8, depth=1, heads=2, norm=RMSNorm)},
        {"head": partial(FanHead, layers=2, p=0.5)},
    ],
)
def test_there_is_none_where_all_directions_vary(changes):
    module = language_model(**changes)
    assert is_refused(know_statistics(gather(module, Sample(Windows(40), None, 8))))


def test_there_is_none_without_a_constant():
    """A bias of zero leaves a product of zero, which no scale makes 1."""
    assert is_refused(knows(norm(bias=0.0)(STATES)))
    assert is_refused(knows(norm(bias=0.0)(STATES.float())))
    assert is_refused(knows(STATES))


def test_few_contexts_say_nothing_of_what_is_constant():
    """Of fewer contexts than dimensions, some direction is always constant."""
    assert is_refused(knows(STATES[: DIM // 2]))
    assert is_refused(knows(norm()(STATES[: DIM + 3])))


def test_a_constant_dimension_is_such_a_direction():
    """A gain of zero leaves the bias alone, and the others without one of theirs."""
    made = norm()
    with torch.no_grad():
        made.weight[3], made.bias[3] = 0, 5.0
    expected = torch.zeros(DIM, dtype=torch.float64)
    expected[3] = 1 / 5.0
    torch.testing.assert_close(ln_exact(knows(made(STATES))).row, expected, rtol=0, atol=1e-12)
