"""Kernels: torch's fused attentions, called such that they return the logsumexp of the scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, ops
from torch.nn.attention import SDPBackend
from torch.nn.functional import pad

ALIGNED = 16  # torch pads the rows of a mask to a multiple of this for its efficient kernel


class Operands(NamedTuple):
    """Queries, keys and values, or their gradients."""

    queries: Tensor  # [B, H, Q, E]
    keys: Tensor  # [B, G, K, E]
    values: Tensor  # [B, G, K, E]


class Scores(NamedTuple):
    """Options of the scores."""

    mask: Tensor | None  # [B or 1, H or 1, Q, K], is added to the scores; has no gradient
    causal: bool
    scale: float | None  # 1/√E if not given


class Attended(NamedTuple):
    """Results of the forward pass that the backward pass needs."""

    output: Tensor  # [B, H, Q, E]
    logsumexp: Tensor  # [B, H, Q], perhaps with more columns, or another axis of length 1
    random: tuple[Tensor, ...]  # state of the dropout, which is not used


class Kernel(ABC):
    """One of torch's implementations of attention, which are private: they are checked first."""

    @abstractmethod
    def forward(self, operands: Operands, scores: Scores) -> Attended:
        """Attends."""

    @abstractmethod
    def backward(
        self, gradient: Tensor, operands: Operands, found: Attended, scores: Scores
    ) -> Operands:
        """Returns the gradients of the operands, given that of the output, `[B, H, Q, E]`."""


class FlashOnCPU(Kernel):
    """Flash attention on the CPU."""

    def forward(self, operands: Operands, scores: Scores) -> Attended:
        """Attends."""
        mask, causal, scale = scores
        attend = ops.aten._scaled_dot_product_flash_attention_for_cpu
        output, logsumexp = attend(*operands, 0.0, causal, attn_mask=mask, scale=scale)
        return Attended(output, logsumexp, ())

    def backward(
        self, gradient: Tensor, operands: Operands, found: Attended, scores: Scores
    ) -> Operands:
        """Returns the gradients of the operands."""
        mask, causal, scale = scores
        differentiate = ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        output, logsumexp, _ = found
        given = gradient, *operands, output, logsumexp
        return Operands(*differentiate(*given, 0.0, causal, attn_mask=mask, scale=scale))


class Flash(Kernel):
    """Flash attention on a GPU, in half precision and without a mask."""

    def forward(self, operands: Operands, scores: Scores) -> Attended:
        """Attends."""
        attend = ops.aten._scaled_dot_product_flash_attention
        made = attend(*operands, 0.0, scores.causal, False, scale=scores.scale)
        return Attended(made[0], made[1], made[6:8])

    def backward(
        self, gradient: Tensor, operands: Operands, found: Attended, scores: Scores
    ) -> Operands:
        """Returns the gradients of the operands."""
        differentiate = ops.aten._scaled_dot_product_flash_attention_backward
        output, logsumexp, random = found
        given = gradient, *operands, output, logsumexp, *_lengths(operands)
        return Operands(*differentiate(*given, 0.0, scores.causal, *random, scale=scores.scale))


class Efficient(Kernel):
    """Memory-efficient attention on a GPU, in any precision, with a mask and without groups."""

    def forward(self, operands: Operands, scores: Scores) -> Attended:
        """Attends."""
        attend = ops.aten._scaled_dot_product_efficient_attention
        mask, with_logsumexp = _aligned(operands, scores), True
        made = attend(*operands, mask, with_logsumexp, 0.0, scores.causal, scale=scores.scale)
        return Attended(made[0], made[1], made[2:4])

    def backward(
        self, gradient: Tensor, operands: Operands, found: Attended, scores: Scores
    ) -> Operands:
        """Returns the gradients of the operands."""
        differentiate = ops.aten._scaled_dot_product_efficient_attention_backward
        output, logsumexp, random = found
        wanted = True, True, True, False
        given = gradient, *operands, _aligned(operands, scores), output, logsumexp, *random
        made = differentiate(*given, 0.0, wanted, scores.causal, scale=scores.scale)
        return Operands(*made[:3])


class CuDNN(Kernel):
    """Attention of cuDNN."""

    def forward(self, operands: Operands, scores: Scores) -> Attended:
        """Attends."""
        attend = ops.aten._scaled_dot_product_cudnn_attention
        mask, causal, scale = scores
        with_logsumexp, debug = True, False
        made = attend(*operands, mask, with_logsumexp, 0.0, causal, debug, scale=scale)
        return Attended(made[0], made[1], made[6:8])

    def backward(
        self, gradient: Tensor, operands: Operands, found: Attended, scores: Scores
    ) -> Operands:
        """Returns the gradients of the operands."""
        differentiate = ops.aten._scaled_dot_product_cudnn_attention_backward
        output, logsumexp, random = found
        mask, causal, scale = scores
        given = gradient, *operands, output, logsumexp, *random, mask, *_lengths(operands)
        return Operands(*differentiate(*given, 0.0, causal, scale=scale))


def _lengths(operands: Operands) -> tuple[None, None, int, int]:
    """Returns the arguments for sequences of equal length: no offsets, and both lengths."""
    return None, None, operands.queries.shape[2], operands.keys.shape[2]


def _aligned(operands: Operands, scores: Scores) -> Tensor | None:
    """Pads the rows of the mask as the efficient kernel requires, `[B, H, Q, K]`."""
    if scores.mask is None:
        return None
    size = scores.mask.shape[-1]
    rows = pad(scores.mask, (0, -size % ALIGNED))[..., :size]
    return rows.expand(*operands.queries.shape[:3], size)


KERNELS: dict[tuple[str, int], Kernel] = {
    ("cpu", SDPBackend.FLASH_ATTENTION.value): FlashOnCPU(),
    ("cuda", SDPBackend.FLASH_ATTENTION.value): Flash(),
    ("cuda", SDPBackend.EFFICIENT_ATTENTION.value): Efficient(),
    ("cuda", SDPBackend.CUDNN_ATTENTION.value): CuDNN(),
}
"""Kernels by the type of the device and torch's number of the implementation."""
