"""Fused attention with divided gradients: torch's own forward, the written-out form backward."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from components.layers.attention import ScaledDotProduct
from components.layers.key_value import KeyValue
from components.layers.masks import Mask, attention_mask
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.reference import diagonal_attention

CPU = torch.device("cpu")
HEADS, GROUPS = 4, (4, 2, 1)


def rule_mask(rule, size, dtype=torch.float64):
    """Says what is seen of two sequences."""
    torch.manual_seed(3)
    right = torch.arange(size) < torch.tensor([[size], [max(size - 3, 1)]])
    left = right.flip(1)  # its first rows see themselves alone
    bias = torch.randn(1, HEADS, size, size, dtype=dtype)
    later = torch.ones(size, size, dtype=torch.bool).triu(1)
    return {
        "causal": lambda: Mask(causal=True),
        "everything": lambda: Mask(),
        "left": lambda: attention_mask(size, size, 0, left, CPU),
        "right": lambda: attention_mask(size, size, 0, right, CPU),
        "prefix": lambda: attention_mask(size, size, min(3, size), left, CPU),
        "biased": lambda: Mask(bias.masked_fill(later, -math.inf)),
        "elsewhere": lambda: Mask((~torch.eye(size, dtype=torch.bool))[None, None]),
    }[rule]()


RULES = ["causal", "everything", "left", "right", "prefix", "biased"]


def streams(size, width, groups=HEADS, dtype=torch.float64, spread=1.0):
    """Draws queries, `own` and an equal `past`, in the layout of a projection cut into heads."""
    torch.manual_seed(4)

    def draw(heads):
        return (spread * torch.randn(2, size, heads, width)).to(dtype).transpose(1, 2)

    queries, keys, values = draw(HEADS), draw(groups), draw(groups)
    leaves = [each.clone().requires_grad_() for each in (queries, keys, values, keys, values)]
    return leaves[0], KeyValue(*leaves[1:3]), KeyValue(*leaves[3:])


def differentiate(output, *given):
    torch.manual_seed(5)
    direction = torch.randn(output.shape, dtype=torch.float64).to(output.dtype)
    return torch.autograd.grad(output, given, direction)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [None, 1.0])
def test_forward_queries_and_sums_are_those_of_ordinary_attention(dtype, groups, rule, scale):
    queries, own, past = streams(17, 8, groups, dtype)
    seen = rule_mask(rule, 17, dtype)
    output = separated_attention(queries, own, past, seen, scale=scale)
    expected = ScaledDotProduct(scale=scale)(queries, own, past, seen)
    assert torch.equal(output, expected)
    assert output.dtype == dtype
    to_queries, *parts = differentiate(output, queries, *own, *past)
    ordinary, *whole = differentiate(expected, queries, *past)
    assert torch.equal(to_queries, ordinary)
    exact = 8 * torch.finfo(dtype).eps
    for mine, rest, total in zip(parts[:2], parts[2:], whole, strict=True):
        torch.testing.assert_close(mine + rest, total, rtol=exact, atol=exact * 8)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("size", [1, 2, 17, 64, 130])
@pytest.mark.parametrize("width", [4, 8, 16, 32])
def test_agrees_with_attention_that_is_written_out(dtype, bound, size, width):
    rule, groups = RULES[width.bit_length() - 3], GROUPS[size % 3]
    queries, own, past = streams(size, width, groups, dtype)
    seen = rule_mask(rule, size, dtype)
    found = differentiate(separated_attention(queries, own, past, seen), queries, *own, *past)
    expected = differentiate(diagonal_attention(queries, own, past, seen), queries, *own, *past)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=bound * (1 + theirs.abs().max()))


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("rule", RULES)
def test_agrees_for_every_rule(groups, rule):
    queries, own, past = streams(9, 8, groups)
    seen = rule_mask(rule, 9)
    found = differentiate(
        separated_attention(queries, own, past, seen, scale=0.7), queries, *own, *past
    )
    dense = diagonal_attention(queries, own, past, seen, scale=0.7)
    for mine, theirs in zip(found, differentiate(dense, queries, *own, *past), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_a_position_that_does_not_see_itself_shows_itself_nothing():
    queries, own, past = streams(6, 4)
    output = separated_attention(queries, own, past, rule_mask("elsewhere", 6))
    for gradient in differentiate(output, *own):
        assert not gradient.any()


def test_a_row_that_sees_nothing_has_no_gradient():
    queries, own, past = streams(4, 4)
    mask = torch.ones(4, 4).tril().bool()
    mask[2] = False
    output = separated_attention(queries, own, past, Mask(mask[None, None]))
    for gradient in differentiate(output, *own):
        assert not gradient[:, :, 2].any()
        assert gradient.isfinite().all()


class Shapes(TorchDispatchMode):
    """Collects the shapes of all tensors that are made."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor):
                self.seen.add(tuple(each.shape))
        return made


def test_no_square_of_the_length_is_stored():
    size = 67
    queries, own, past = streams(size, 8, 2)
    for attend, stores in ((separated_attention, False), (diagonal_attention, True)):
        attend(queries, own, past, Mask(causal=True))  # a kernel is tried before
        with Shapes() as shapes:
            differentiate(attend(queries, own, past, Mask(causal=True)), queries, *own, *past)
        assert any(shape.count(size) > 1 for shape in shapes.seen) == stores


def test_own_weights_are_exact_in_half_precision():
    queries, own, past = streams(33, 32, 2, torch.bfloat16, spread=2.0)
    seen = Mask(causal=True)
    output = separated_attention(queries, own, past, seen)
    ones = torch.ones_like(output)  # what values get of themselves is then the sum of own weights
    (found,) = torch.autograd.grad(output, own.values, ones)
    wide = [each.detach().float().repeat_interleave(2, 1) for each in own]
    scores = queries.detach().float() @ wide[0].mT / math.sqrt(32)
    later = torch.ones(33, 33, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -math.inf).softmax(-1).diagonal(dim1=-2, dim2=-1)
    expected = weights.unflatten(1, (2, 2)).sum(2)
    rounding = torch.finfo(torch.bfloat16).eps / 2
    torch.testing.assert_close(found[..., 0].float(), expected, rtol=rounding, atol=1e-3)


def test_rows_that_see_themselves_alone_stay_finite_in_half_precision():
    queries, own, past = streams(9, 8, 2, torch.bfloat16, spread=30.0)
    output = separated_attention(queries, own, past, rule_mask("left", 9))
    for each in (output, *differentiate(output, queries, *own, *past)):
        assert each.isfinite().all()


def test_there_are_no_second_derivatives():
    queries, own, past = streams(5, 4)
    output = separated_attention(queries, own, past, Mask(causal=True))
    (first,) = torch.autograd.grad(output.square().sum(), own.keys, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
