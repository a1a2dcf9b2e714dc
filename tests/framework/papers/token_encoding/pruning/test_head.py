"""The pruned head is a linear head whose other columns are zero."""

import pytest
import torch
from torch import nn

from components.heads.linear import LinearHead
from components.supports import Tokens
from framework.papers.token_encoding.pruning.head import PrunedHead, Selection

DIM, SIZE = 8, 5
KEPT = torch.tensor([6, 1, 4])


def chosen(bias):
    torch.manual_seed(0)
    head = PrunedHead(DIM, Tokens(SIZE), kept=len(KEPT), bias=bias)
    head.load_state_dict(head.state_dict() | {"projection.0.index": KEPT})
    return head


@pytest.mark.parametrize("bias", [False, True])
def test_is_the_linear_head_with_zeros_in_the_other_columns(bias):
    head, plain = chosen(bias), LinearHead(DIM, Tokens(SIZE), bias=bias)
    output = head.output_embedding()
    with torch.no_grad():
        plain.projection.weight.zero_()[:, KEPT] = output.weight
        if bias:
            plain.projection.bias.copy_(output.bias)
    hidden = torch.randn(4, 3, DIM)
    torch.testing.assert_close(head(hidden).logits, plain(hidden).logits)
    assert torch.equal(output.features(hidden), hidden[..., KEPT])
    assert output.weight.shape == (SIZE, len(KEPT))


def test_reads_the_first_dimensions_until_told_others():
    selection = Selection(DIM, 3)
    assert torch.equal(selection(torch.arange(8.0)), torch.tensor([0.0, 1.0, 2.0]))
    selection.load_state_dict({"index": KEPT})
    assert torch.equal(selection(torch.arange(8.0)), torch.tensor([6.0, 1.0, 4.0]))


def test_the_choice_is_stored_whole_where_weights_are_narrow():
    head = chosen(bias=False).to(torch.bfloat16)
    state = head.state_dict()
    assert torch.equal(state["projection.0.index"], KEPT)
    assert state["projection.0.index"].dtype == torch.int64
    assert head(torch.randn(2, DIM, dtype=torch.bfloat16)).logits.shape == (2, SIZE)


@pytest.mark.parametrize("width", [3, DIM])
def test_refuses_to_share_the_vectors_of_an_embedding(width):
    head = PrunedHead(DIM, Tokens(SIZE), kept=width)
    with pytest.raises(ValueError, match=rf"PrunedHead reads out with {width} .*drop tied\.$"):
        head.tie(nn.Embedding(SIZE, width))


def test_selection_refuses_what_is_not_there():
    with pytest.raises(ValueError, match=r"Selection: kept=9 of 8 dimensions; .*\.$"):
        Selection(DIM, 9)
