"""A likelihood that is computed chunk by chunk, against that of a categorical of all logits."""

import pytest
import torch
from torch import nn

from components.distributions import Categorical, LinearCategorical
from components.heads import linear as module
from components.heads.linear import LinearHead
from components.layers import readout
from components.supports import Interval, Tokens

SIZE, DIM = 11, 6


@pytest.fixture(autouse=True)
def few_logits(monkeypatch):
    monkeypatch.setattr(readout, "CHUNK", 3 * SIZE)  # three states at once


def heads(bias, tied):
    torch.manual_seed(0)
    made = [LinearHead(DIM, Tokens(SIZE), bias=bias, chunked=chunked) for chunked in (True, False)]
    made[1].load_state_dict(made[0].state_dict())
    table = nn.Embedding(SIZE, DIM).double()
    for head in made:
        if tied:
            head.tie(table)  # which owns the matrix
    return [head.double() for head in made]


def nats_and_gradients(head, hidden, index, direction):
    hidden = hidden.clone().requires_grad_()
    nats = -head(hidden).log_prob(index)
    inputs = [hidden, head.projection.weight, *head.parameters()]
    return nats, torch.autograd.grad((nats * direction).sum(), inputs, allow_unused=True)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_chunks_are_exact(bias, tied):
    hidden, direction = torch.randn(2, 5, DIM).double() * 3, torch.randn(2, 5).double()
    direction[0, 1] = 0.0
    index = torch.randint(SIZE, (2, 5))
    chunked, whole = (nats_and_gradients(h, hidden, index, direction) for h in heads(bias, tied))
    torch.testing.assert_close(chunked, whole)


def test_chunks_are_exact_under_autocast():
    hidden, direction = torch.randn(2, 5, DIM), torch.randn(2, 5)
    index = torch.randint(SIZE, (2, 5))
    chunked, whole = (head.float() for head in heads(True, False))
    with torch.autocast("cpu", torch.bfloat16):
        found = nats_and_gradients(chunked, hidden, index, direction)
        expected = nats_and_gradients(whole, hidden, index, direction)
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=0.02, atol=0.02)


def test_all_else_is_that_of_the_logits():
    chunked, whole = heads(True, False)
    hidden = torch.randn(2, 5, DIM).double()
    made, expected = chunked(hidden), whole(hidden)
    assert isinstance(made, LinearCategorical)
    assert type(expected) is Categorical
    for name in ("logits", "probs", "log_probs", "mode", "mean"):
        torch.testing.assert_close(getattr(made, name), getattr(expected, name))
    index = torch.randint(SIZE, (4, 2, 5))
    torch.testing.assert_close(made.log_prob(index), expected.log_prob(index))


def test_outcomes_that_are_none_are_refused():
    chunked, _ = heads(True, False)
    with pytest.raises(ValueError, match="the outcome 11"):
        chunked(torch.randn(1, DIM).double()).log_prob(torch.tensor([SIZE]))


def test_it_is_chosen_where_logits_would_take_much_memory(monkeypatch):
    head, hidden = LinearHead(DIM, Tokens(SIZE)), torch.randn(2, 5, DIM)
    assert type(head(hidden)) is Categorical
    monkeypatch.setattr(module, "memory_of", lambda device: 8 * 3 * 4 * 10 * SIZE - 1)
    assert isinstance(head(hidden), LinearCategorical)
    with torch.no_grad():
        assert type(head(hidden)) is Categorical
    monkeypatch.setattr(module, "memory_of", lambda device: 8 * 3 * 4 * 10 * SIZE)
    assert type(head(hidden)) is Categorical


def test_capped_logits_are_made_all_at_once(monkeypatch):
    monkeypatch.setattr(module, "memory_of", lambda device: 1)
    head, hidden = LinearHead(DIM, Tokens(SIZE), cap=0.3), 99 * torch.randn(2, 5, DIM)
    expected = 0.3 * torch.tanh(head.projection(hidden) / 0.3)
    torch.testing.assert_close(head(hidden).logits, expected)
    with pytest.raises(ValueError, match=r"chunked=True makes .* no cap=0\.3; drop one"):
        LinearHead(DIM, Tokens(SIZE), chunked=True, cap=0.3)
    with pytest.raises(ValueError, match=r"LinearHead with cap=0\.3 has .* no output embedding"):
        head.output_embedding()


def test_real_values_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="chunked=True is for tokens"):
        LinearHead(DIM, Interval(-1.0, 1.0), chunked=True)
