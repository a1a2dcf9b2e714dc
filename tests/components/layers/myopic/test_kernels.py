"""Kernels: they are called as torch wants, tried before they are used, and done without."""

import pytest
import torch
from torch.nn.attention import SDPBackend

from components.layers.attention import ScaledDotProduct
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic import fused
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.kernels import KERNELS, Efficient, FlashOnCPU, Operands, Scores
from components.layers.myopic.reference import diagonal_attention

CAUSAL = Mask(causal=True)
ON_CPU = "cpu", SDPBackend.FLASH_ATTENTION.value


def streams(size=6, heads=4, groups=2):
    torch.manual_seed(0)
    drawn = [torch.randn(2, n, size, 8, dtype=torch.float64) for n in (heads, groups, groups)]
    leaves = [each.clone().requires_grad_() for each in (*drawn, *drawn[1:])]
    return leaves[0], KeyValue(*leaves[1:3]), KeyValue(*leaves[3:])


def differentiate(attend, *given, **options):
    queries, own, past = given
    output = attend(queries, own, past, CAUSAL, **options)
    return output, *torch.autograd.grad(output.square().sum(), (queries, *own, *past))


@pytest.fixture
def untried():
    """Forgets which kernels were tried, before and after."""
    fused._trusted.cache_clear()
    yield
    fused._trusted.cache_clear()


class Calls(FlashOnCPU):
    """Counts passes forward."""

    def __init__(self):
        self.forwards = 0

    def forward(self, operands, scores):
        self.forwards += 1
        return super().forward(operands, scores)


class Base2(FlashOnCPU):
    """Tells another logarithm."""

    def forward(self, operands, scores):
        found = super().forward(operands, scores)
        return found._replace(logsumexp=found.logsumexp * 1.4427)


class Renamed(FlashOnCPU):
    """Calls what another torch does not have."""

    def forward(self, operands, scores):
        return torch.ops.aten._a_kernel_that_is_gone(*operands)


def test_a_kernel_is_tried_once(monkeypatch, untried):
    kernel = Calls()
    monkeypatch.setitem(KERNELS, ON_CPU, kernel)
    for size in (6, 6, 7):
        differentiate(separated_attention, *streams(size))
    assert kernel.forwards == 4  # one was the trial


@pytest.mark.parametrize("kernel", [Base2(), Renamed()])
def test_a_kernel_that_is_not_what_it_was_is_not_used(monkeypatch, untried, kernel):
    monkeypatch.setitem(KERNELS, ON_CPU, kernel)
    found = differentiate(separated_attention, *streams())
    expected = differentiate(diagonal_attention, *streams())
    assert all(map(torch.equal, found, expected))


def test_a_trial_draws_no_random_numbers(untried):
    torch.manual_seed(0)
    expected = torch.rand(3)
    given = streams()
    torch.manual_seed(0)
    differentiate(separated_attention, *given)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("choice", ["dropped", "a mask that learns", "no kernel"])
def test_what_no_kernel_does_is_written_out(monkeypatch, untried, choice):
    kernel, (queries, own, past) = Calls(), streams()
    monkeypatch.setitem(KERNELS, ON_CPU, kernel)
    mask, drop = torch.zeros(1, 4, 6, 6, dtype=torch.float64), 0.0
    backends = [SDPBackend.FLASH_ATTENTION]
    match choice:
        case "dropped":
            drop = 0.5
        case "a mask that learns":
            mask.requires_grad_()
        case "no kernel":
            backends = [SDPBackend.MATH]
    with torch.nn.attention.sdpa_kernel(backends):
        output = separated_attention(queries, own, past, Mask(mask), drop)
    output.sum().backward()
    assert kernel.forwards == 0
    if mask.requires_grad:
        wanted = mask.grad.clone()
        mask.grad = None
        ScaledDotProduct()(queries, own, past, Mask(mask)).sum().backward()
        torch.testing.assert_close(wanted, mask.grad, rtol=0, atol=1e-12)


FLASH = "cuda", SDPBackend.FLASH_ATTENTION.value  # knows no mask


@pytest.mark.parametrize(
    ("kernel", "masked"),
    [
        (key, masked)
        for key in KERNELS
        for masked in (False, True)
        if not (masked and key == FLASH)
    ],
)
def test_kernels_are_called_as_this_torch_wants(kernel, masked):
    """On the meta device, which checks arguments and shapes and needs no graphics processor."""
    shape = 2, 4, 6, 8
    operands = Operands(*(torch.empty(shape, dtype=torch.float16, device="meta") for _ in "qkv"))
    mask = torch.empty(2, 1, 6, 6, dtype=torch.float16, device="meta") if masked else None
    scores = Scores(mask, causal=not masked, scale=0.3)
    kernel = KERNELS[kernel]
    found = kernel.forward(operands, scores)
    assert found.output.shape == shape
    assert found.logsumexp.flatten(2)[..., :6].shape == shape[:3]
    found_gradients = kernel.backward(found.output, operands, found, scores)
    assert [each.shape for each in found_gradients] == [shape] * 3


def test_rows_of_a_mask_are_aligned_for_the_efficient_kernel(monkeypatch):
    seen = []

    def attend(queries, keys, values, mask, *_, **__):
        seen.append(mask)
        return (queries,) * 4

    monkeypatch.setattr(
        torch.ops.aten, "_scaled_dot_product_efficient_attention", attend, raising=False
    )
    operands = Operands(*torch.randn(3, 2, 4, 6, 8))
    mask = torch.randn(2, 1, 6, 6)
    Efficient().forward(operands, Scores(mask, causal=False, scale=None))
    assert torch.equal(seen[0], mask.expand(2, 4, 6, 6))
    assert seen[0].stride(-2) == 16
