"""Layouts of matrices: the same model, whose wide matrices are read column by column."""

import copy

import pytest
import torch
from torch import nn

from components import Decoder, LinearHead, Tokens, TokenStem
from components.data import TokenSpec
from components.heads import FanHead
from components.layouts import lay_out_by_columns
from framework.evaluation.generation import unlabeled

VOCABULARY, DIM = 40, 16
TOKENS = torch.randint(VOCABULARY, (2, 6), generator=torch.Generator().manual_seed(0))


def made(head, tied):
    support = Tokens(VOCABULARY)
    stem = TokenStem(DIM, TokenSpec(support=support, length=8))
    parts = nn.ModuleList([stem, Decoder(DIM, 2, 2), head(dim=DIM, support=support)])
    if tied:
        parts[2].tie(stem.lookup())
    return parts.requires_grad_(False)


def logits(parts):
    stem, backbone, head = parts
    return head(stem.readout(backbone(stem(unlabeled(TOKENS))))).logits


def by_column(matrix):
    return not matrix.is_contiguous() and matrix.t().is_contiguous()


@pytest.mark.parametrize("tied", [False, True])
def test_values_stay_and_wide_matrices_turn(tied):
    parts = made(LinearHead, tied)
    before = copy.deepcopy(parts.state_dict())
    expected = logits(parts)
    lay_out_by_columns(parts, 1)
    lay_out_by_columns(parts, 1)  # once more changes nothing
    stem, backbone, head = parts
    torch.testing.assert_close(parts.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(logits(parts), expected)
    assert by_column(head.output_embedding().weight)
    assert by_column(stem.lookup().weight) == tied
    for name, matrix in backbone.named_parameters():
        wide = matrix.ndim == 2 and matrix.shape[0] > matrix.shape[1]
        assert by_column(matrix) == wide, name


def test_the_matrix_of_a_fan_layer_turns_too():
    parts = made(FanHead, False)
    expected = logits(parts)
    lay_out_by_columns(parts, 1)
    wide = [m for m in parts[2].parameters() if m.ndim == 2 and m.shape[0] > m.shape[1]]
    assert wide
    assert all(map(by_column, wide))
    torch.testing.assert_close(logits(parts), expected)


@pytest.mark.parametrize(
    ("dtype", "examples"), [(torch.float64, 1), (torch.bfloat16, 1), (torch.float32, 3)]
)
def test_other_types_and_batches_stay(dtype, examples):
    parts = made(LinearHead, False).to(dtype)
    lay_out_by_columns(parts, examples)
    assert all(parameter.is_contiguous() for parameter in parts.parameters())
