"""A pretrained read-out has the rows of the tokens that the data know."""

import pytest
import torch

from components.supports import Tokens
from framework.pretrained import PretrainedHead

SIZE, DIM = 257, 32


@pytest.mark.parametrize("size", [SIZE, 200])
def test_rows_are_those_of_known_tokens(tiny, size):
    head = PretrainedHead(DIM, Tokens(size), tiny)
    features, weight, bias = head.output_embedding()
    hidden = torch.randn(3, DIM)
    assert (weight.shape, bias) == ((size, DIM), None)
    torch.testing.assert_close(features(hidden) @ weight.T, head(hidden).logits)


def test_the_bias_of_such_a_model_is_a_part_of_it(tiny):
    """GPT-J has one."""
    head = PretrainedHead(DIM, Tokens(200), tiny)
    head.projection.bias = torch.nn.Parameter(torch.randn(SIZE))
    features, weight, bias = head.output_embedding()
    hidden = torch.randn(3, DIM)
    torch.testing.assert_close(features(hidden) @ weight.T + bias, head(hidden).logits)
