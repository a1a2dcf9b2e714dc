"""Fused attention that separates the gradients of a position for itself and for its past."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, einsum
from torch.autograd.function import once_differentiable
from torch.linalg import vecdot
from torch.nn.attention import SDPBackend

from components.layers.key_value import KeyValue
from components.layers.linear import product_dtype
from components.layers.masks import Mask
from components.layers.myopic.kernels import KERNELS, Attended, Kernel, Operands, Scores
from components.layers.myopic.reference import diagonal_attention

TRIAL = 8  # positions of the attention on which a kernel is checked
UNFUSED = SDPBackend.MATH.value


def separated_attention(
    queries: Tensor,
    own: KeyValue,
    past: KeyValue,
    mask: Mask,
    drop: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    r"""Attends as usual, and separates the gradients of two equal streams of keys and values.

    With scores S, weights P, logsumexps L, output O and its gradient g, the gradients of `own` at
    position t are

    .. math::
        \mathrm dv^{own}_t = P_{tt} g_t, \quad
        \mathrm dk^{own}_t = c P_{tt} (g_t \cdot (v_t - O_t)) q_t, \quad
        P_{tt} = e^{S_{tt} - L_t},

    and those of `past` are the rest of the gradients of ordinary attention. The forward pass is
    the kernel that torch uses for ordinary attention, and so is most of the backward pass; the
    remainder costs O(Q · E) and is computed in float32 or wider. Where torch has no such kernel,
    as with dropout or a learned mask, `diagonal_attention` is used. No second derivatives.

    Args:
        queries: `[B, H, Q, E]`.
        own: `[B, G, Q, E]`, keys and values that positions see of themselves.
        past: `[B, G, Q, E]`, keys and values that the others see: the same numbers.
        mask: Which keys each query sees.
        drop: Probability to drop a weight.
        scale: The factor c of scores, 1/√E if not given.

    Returns:
        `[B, H, Q, E]`.
    """
    dtype = product_dtype(queries)
    queries = queries.to(dtype)
    own = KeyValue(own.keys.to(dtype), own.values.to(dtype))
    past = KeyValue(past.keys.to(dtype), past.values.to(dtype))
    scores = Scores(_additive(mask.matrix, dtype), mask.causal, scale)
    choice = UNFUSED if drop else _choice(Operands(queries, *past), scores)
    if choice == UNFUSED:
        return diagonal_attention(queries, own, past, mask, drop, scale)
    output: Tensor = _Separated.apply(queries, *own, *past, *scores, choice)  # type: ignore[no-untyped-call] # torch's
    return output


class _Separated(torch.autograd.Function):
    """Ordinary attention, with a gradient for each of the two streams."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        own_keys: Tensor,
        own_values: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        causal: bool,
        scale: float | None,
        choice: int,
    ) -> Tensor:
        operands, ctx.choice = Operands(queries, keys, values), choice
        found = _kernel(queries, choice).forward(operands, Scores(mask, causal, scale))
        ctx.causal, ctx.scale = causal, scale
        ctx.save_for_backward(*operands, mask, *found[:2], *found.random)
        return found.output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, mask, output, logsumexp, *random = ctx.saved_tensors
        operands, scores = Operands(queries, keys, values), Scores(mask, ctx.causal, ctx.scale)
        found = Attended(output, logsumexp, tuple(random))
        with torch.autocast(queries.device.type, enabled=False):
            total = _kernel(queries, ctx.choice).backward(gradient, operands, found, scores)
            to_queries, *others = total
            needed = ctx.needs_input_grad[3:5]
            rest = [each if wanted else None for each, wanted in zip(others, needed, strict=True)]
            del total, others  # frees memory
            own = _own(gradient, operands, found, scores)
            for whole, part in zip(rest, own, strict=True):
                if whole is not None:
                    whole.sub_(part)
        mine = own.keys.to(keys.dtype), own.values.to(values.dtype)
        return to_queries, *mine, *rest, None, None, None, None


def _own(gradient: Tensor, operands: Operands, found: Attended, scores: Scores) -> KeyValue:
    """Returns the gradients of each position for itself, `[B, G, Q, E]`."""
    wide = torch.promote_types(operands.queries.dtype, torch.float32)
    groups, width = operands.keys.shape[1], operands.keys.shape[3]
    scale = 1 / math.sqrt(width) if scores.scale is None else scores.scale

    def grouped(vectors: Tensor) -> Tensor:
        wider: Tensor = vectors.to(wide).unflatten(1, (groups, -1))  # type: ignore[no-untyped-call] # torch's
        return wider  # [B, G, H / G, Q, E]

    queries, slope, output = grouped(operands.queries), grouped(gradient), grouped(found.output)
    keys, values = (each.to(wide).unsqueeze(2) for each in operands[1:])  # [B, G, 1, Q, E]
    match = scale * _rows(queries, keys)
    weights = _weights(match.flatten(1, 2), found.logsumexp, scores.mask).view_as(match)
    pull = scale * weights * (_rows(slope, values) - _rows(slope, output))
    return KeyValue(_summed(pull[..., None] * queries), _summed(weights[..., None] * slope))


def _rows(first: Tensor, second: Tensor) -> Tensor:
    """Computes dot products of vectors `[..., E]`: `[...]`."""
    if first.is_contiguous() and second.is_contiguous() and first.shape == second.shape:
        return einsum("...e,...e->...", first, second)  # stores no elementwise product
    product: Tensor = vecdot(first, second)
    return product


def _summed(vectors: Tensor) -> Tensor:
    """Sums gradients over the heads of a group, `[B, G, H / G, Q, E]` to `[B, G, Q, E]`."""
    return vectors.squeeze(2) if vectors.shape[2] == 1 else vectors.sum(2)


def _weights(match: Tensor, logsumexp: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the weight of each position for itself, `[B, H, Q]`, from its score `match`."""
    logsumexp = logsumexp.flatten(2)[..., : match.shape[-1]].to(match.dtype)
    if mask is None:
        return (match - logsumexp).exp().clamp(max=1.0)
    added = mask.diagonal(dim1=-2, dim2=-1)
    weights = (match + added - logsumexp).exp().clamp(max=1.0)
    # The logsumexp of a row that sees nothing is arbitrary.
    return weights.masked_fill(added == -math.inf, 0.0)


def _additive(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Converts a mask into numbers that are added to scores."""
    if mask is None or mask.dtype != torch.bool:
        return None if mask is None else mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -math.inf)


class _Case(NamedTuple):
    """What the choice of a kernel depends on, besides lengths."""

    device: torch.device
    dtype: torch.dtype
    heads: int
    groups: int
    width: int
    masked: bool
    causal: bool


def _choice(operands: Operands, scores: Scores) -> int:
    """Returns the number of the kernel that torch uses for ordinary attention, once checked."""
    queries, keys, _ = operands
    sizes = queries.shape[1], keys.shape[1], keys.shape[3]
    case = queries.device, queries.dtype, *sizes, scores.mask is not None, scores.causal
    if scores.mask is not None and scores.mask.requires_grad:
        return UNFUSED
    if torch.compiler.is_compiling():
        return int(_constant_choice(*case))
    choice = _torch_choice(operands, scores)
    return choice if _trusted(choice, _Case(*case)) else UNFUSED


def _torch_choice(operands: Operands, scores: Scores) -> int:
    grouped = operands.queries.shape[1] != operands.keys.shape[1]
    given = *operands, scores.mask, 0.0, scores.causal
    return int(torch._fused_sdp_choice(*given, scale=scores.scale, enable_gqa=grouped))


def _constant_choice(*case: Any) -> int:
    """Chooses for short sequences, because the compiler cannot trace a choice."""
    choice = _torch_choice(*_trial(_Case(*case)))
    return choice if _trusted(choice, _Case(*case)) else UNFUSED


# All that torch.compiler.assume_constant_result does, but for importing the compiler, which takes
# a second.
_constant_choice._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _trusted(choice: int, case: _Case) -> bool:
    """Checks a kernel, once: whether it computes the same as `diagonal_attention`."""
    if (case.device.type, choice) not in KERNELS:
        return False
    try:
        return _agrees(choice, case)
    except (RuntimeError, TypeError, AttributeError):  # other signatures in this torch
        return False


def _agrees(choice: int, case: _Case) -> bool:
    operands, scores = _trial(case)
    leaves = [each.requires_grad_() for each in (*operands, *(x.clone() for x in operands[1:]))]
    queries, own, past = leaves[0], KeyValue(*leaves[1:3]), KeyValue(*leaves[3:])
    with torch.enable_grad(), torch.autocast(case.device.type, enabled=False):
        fused = _Separated.apply(*leaves, *scores, choice)  # type: ignore[no-untyped-call] # torch's
        dense = diagonal_attention(queries, own, past, Mask(scores.mask, scores.causal))
        found = torch.autograd.grad(fused, leaves, fused.detach())
        exact = torch.autograd.grad(dense, leaves, fused.detach())
    tolerance = torch.finfo(case.dtype).eps ** 0.5
    return all(
        torch.allclose(mine, theirs, rtol=tolerance, atol=tolerance)
        for mine, theirs in zip((fused, *found), (dense, *exact), strict=True)
    )


def _trial(case: _Case) -> tuple[Operands, Scores]:
    """Makes operands and scores of a short attention, without random numbers."""

    def wave(heads: int, speed: float) -> Tensor:
        shape = 1, heads, TRIAL, case.width
        phases = torch.arange(math.prod(shape), device=case.device, dtype=torch.float32)
        return (speed * phases).sin().view(shape).to(case.dtype)

    mask = None
    if case.masked:
        later = torch.ones(TRIAL, TRIAL, dtype=torch.bool, device=case.device).triu(1)
        mask = torch.zeros_like(later, dtype=case.dtype).masked_fill(later, -math.inf)[None, None]
    operands = Operands(wave(case.heads, 1.0), wave(case.groups, 2.0), wave(case.groups, 3.0))
    return operands, Scores(mask, case.causal, None)


def _kernel(queries: Tensor, choice: int) -> Kernel:
    return KERNELS[queries.device.type, choice]
