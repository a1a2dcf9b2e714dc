r"""The trigonometric polynomial :math:`A(z) = \sum_k a_k e^{i \pi k z}` whose square is a density.

Coefficients a_0 .. a_N are stored as `[..., 2(N + 1)]` real numbers: first all real parts, then
all imaginary parts. A basis at z is the pair of rows whose products with them sum to the real and
to the imaginary part of A(z): cosines then negative sines, and sines then cosines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from components.distributions.tensors import tiny, without_autocast

Basis = tuple[Tensor, Tensor]
HEADROOM = 2.0**32  # between what is added to squares and the least number: room for gradients
EXPONENTS = (-64, 120)  # of two: what rows are divided by, so that products stay in range
CHUNK = 2**20  # points of an FFT at once: 8 MiB, which caches and reused memory hold
FEW_TERMS = 32  # up to here matrix products beat the FFT, 18 to 4096 points, 64 to 2048 rows


def check(coefficients: Tensor, distribution: str) -> None:
    """Raises a ValueError that names `distribution` if coefficients are not two halves."""
    length = coefficients.shape[-1] if coefficients.ndim else 0
    if length < 2 or length % 2:
        raise ValueError(
            f"{distribution}: coefficients are real parts followed by as many imaginary parts, "
            f"an even number of them, got {length}."
        )


def basis(angle: Tensor) -> Basis:
    """Makes the basis, each part `[..., 2K]`, for angles `[..., K]`."""
    angle = torch.cat((angle, angle + math.pi / 2), -1)
    return angle.cos(), angle.sin()


def center_angles(index: Tensor, size: int, terms: int, dtype: torch.dtype) -> Tensor:
    r"""Computes the angles :math:`\pi k z_j` at the centers z_j = (2j + 1 - m)/m of m cells.

    They are multiples of π/m. The multiple is reduced to one turn while it is a whole number, so
    that high frequencies cost no digits.

    Args:
        index: Cells j, int64 `[...]`.
        size: Number of cells, m.
        terms: Number of frequencies k = 0 .. terms-1.
        dtype: Of the result.

    Returns:
        Angles between -π and π, `[..., terms]`.
    """
    exact = _exact(size, terms, dtype)
    return _turn((2 * index + (1 - size)).to(exact), size, terms).to(dtype)


def center_table(size: int, terms: int, like: Tensor) -> Basis:
    """Makes the basis at all centers, each part `[size, 2 terms]`; see `center_angles`."""
    exact = _exact(size, terms, like.dtype)
    numerators = torch.arange(1 - size, size, 2, dtype=exact, device=like.device)
    return basis(_turn(numerators, size, terms).to(like.dtype))


def _exact(size: int, terms: int, dtype: torch.dtype) -> torch.dtype:
    """Chooses a dtype in which all multiples of π/m are exact; float32 is, below 2^24."""
    return dtype if terms * size < 2**24 else torch.float64


def _turn(numerators: Tensor, size: int, terms: int) -> Tensor:
    """Turns whole numbers n into the angles π k n / size, less whole turns, `[..., terms]`."""
    k = torch.arange(terms, dtype=numerators.dtype, device=numerators.device)
    multiple = numerators.unsqueeze(-1) * k
    turns = (multiple / (2 * size)).round_()
    return multiple.sub_(turns, alpha=2 * size).mul_(math.pi / size)


def angles(z: Tensor, terms: int, dtype: torch.dtype | None = None) -> Tensor:
    r"""Computes the angles :math:`\pi k z`, up to whole turns, differentiable in z.

    z is cut into a short number, whose product with k is exact and can be reduced to one turn,
    and a small rest. So angles in float32 of positions in float64 lose nothing to the position.

    Args:
        z: Positions between -1 and 1, `[...]`.
        terms: Number of frequencies k = 0 .. terms-1.
        dtype: Of the result, that of z if not given.

    Returns:
        Angles, `[..., terms]`.
    """
    short = (z.detach() * 1024).round() / 1024
    rest = (z - short).to(dtype or z.dtype).unsqueeze(-1)
    k = torch.arange(terms, dtype=rest.dtype, device=z.device)
    turn = torch.remainder(short.to(rest.dtype).unsqueeze(-1) * k + 1, 2) - 1
    return (turn + rest * k) * math.pi


def log_power(coefficients: Tensor, at: Basis) -> Tensor:
    r"""Computes :math:`\log(|A|^2 / \sum_k |a_k|^2)` at a basis; 0 where all coefficients are 0.

    One pass over the coefficients for the value and one for the gradient. Before the logarithm it
    is never negative, which a sum over autocorrelations can be.

    Args:
        coefficients: `[*batch, 2(N + 1)]`.
        at: The basis, each part `[*samples, *batch, 2(N + 1)]`.

    Returns:
        Values `[*samples, *batch]`.
    """
    rows, scale = coefficients.expand(at[0].shape), scale_of(coefficients)
    value: Tensor = _LogPower.apply(rows, scale, *at)[0]  # type: ignore[no-untyped-call] # torch's
    return value


class _LogPower(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        rows: Tensor, scale: Tensor, straight: Tensor, turned: Tensor
    ) -> tuple[Tensor, ...]:
        real, imaginary, power, norm = _parts(rows, scale, straight, turned)
        return (power / norm).log_(), real, imaginary, power, norm

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        rows, scale, straight, turned, *parts = ctx.saved_tensors
        multiply: Callable[..., Tensor] = Tensor.mul_
        add_product: Callable[..., Tensor] = Tensor.addcmul_
        if torch.is_grad_enabled():  # a second derivative is wanted, which has to see the parts
            parts = list(_parts(rows, scale, straight, turned))
            multiply, add_product = torch.mul, torch.addcmul
        real, imaginary, power, norm = parts
        twice = 2 * gradient
        by_power = twice / power
        u, v = (by_power * real).unsqueeze(-1), (by_power * imaginary).unsqueeze(-1)
        to_rows = to_straight = to_turned = None
        if ctx.needs_input_grad[0]:
            to_rows = multiply(rows * scale, (-twice / norm).unsqueeze(-1))
            to_rows = add_product(add_product(to_rows, u, straight), v, turned)
            to_rows = multiply(to_rows, scale)
        if ctx.needs_input_grad[2]:
            scaled = rows * scale
            to_straight, to_turned = u * scaled, v * scaled
        return to_rows, None, to_straight, to_turned


def _parts(rows: Tensor, scale: Tensor, straight: Tensor, turned: Tensor) -> tuple[Tensor, ...]:
    """The two parts of A, its squared modulus and the sum of all |a_k|², those two never zero.

    All are those of the rows times their scale.
    """
    factor = scale.squeeze(-1)
    real, imaginary = (rows * straight).sum(-1) * factor, (rows * turned).sum(-1) * factor
    least = tiny(rows) * HEADROOM
    power = (real.square() + imaginary.square()).add_(least)
    scaled = rows * scale
    squares = scaled.square() if torch.is_grad_enabled() else scaled.mul_(scaled)
    return real, imaginary, power, squares.sum(-1).add_(least)


def scale_of(coefficients: Tensor) -> Tensor:
    """Returns the power of two that brings the sum of the moduli of a row near one, `[..., 1]`.

    Without it float32 would have no room for squares of coefficients below 1e-14 or above 1e18.
    Densities do not depend on it. A sum takes a fifteenth of the time of a largest modulus.
    """
    total = coefficients.detach().abs().sum(-1, keepdim=True)
    return torch.exp2(-total.clamp_min(tiny(coefficients)).log2().floor().clamp(*EXPONENTS))


def as_complex(coefficients: Tensor) -> Tensor:
    """Reads coefficients as complex numbers `[..., N + 1]`, all zeros as those of a constant.

    They are multiplied by a power of two; see `scale_of`.
    """
    coefficients = coefficients * scale_of(coefficients)
    real, imaginary = coefficients.chunk(2, -1)
    dead = coefficients.square().sum(-1, keepdim=True) < tiny(coefficients)
    first = torch.where(dead, 1.0, real[..., :1])
    return torch.complex(torch.cat((first, real[..., 1:]), -1), imaginary)


def powers(coefficients: Tensor, table: Basis) -> Tensor:
    r"""Computes :math:`|A|^2 / \sum_k |a_k|^2` at all points of a table by two matrix products.

    Args:
        coefficients: `[..., 2(N + 1)]`.
        table: The basis at P points, each part `[P, 2(N + 1)]`.

    Returns:
        Values `[..., P]`, positive.
    """
    straight, turned = table
    coefficients = coefficients * scale_of(coefficients)
    least = tiny(coefficients) * HEADROOM
    with without_autocast(coefficients):
        power = (coefficients @ straight.T).square() + (coefficients @ turned.T).square()
    return (power + least) / (coefficients.square().sum(-1, keepdim=True) + least)


def transform(coefficients: Tensor, start: Tensor, points: int) -> Tensor:
    r"""Computes :math:`|A|^2 / \sum_k |a_k|^2` at even points of one period by an FFT.

    Args:
        coefficients: `[..., 2(N + 1)]`.
        start: The angles by which the coefficients turn at the first point, `[N + 1]`.
        points: G, at least N + 1; the g-th lies 2g/G beyond the first.

    Returns:
        Values `[..., points]`, at least 0, of mean 1.
    """
    turn = torch.complex(start.cos(), start.sin())
    values = [_transform(rows, turn, points) for rows in in_chunks(coefficients, points)]
    return torch.cat(values).view(*coefficients.shape[:-1], points)


def _transform(coefficients: Tensor, turn: Tensor, points: int) -> Tensor:
    a = as_complex(coefficients)
    power = squared_modulus(apply_fft(torch.fft.ifft, a * turn, points, "forward"))
    return power / squared_modulus(a).sum(-1, keepdim=True)


def correlate(coefficients: Tensor) -> Tensor:
    r"""Computes g in :math:`|A|^2 / (2 \sum |a_k|^2) = 1/2 + \Re \sum_{k=1}^N g_k e^{i \pi k z}`.

    That is the normalized autocorrelation :math:`g_k = \sum_j a_{j+k} \bar a_j / \sum_j |a_j|^2`.

    Args:
        coefficients: `[..., 2(N + 1)]`.

    Returns:
        The numbers g_1 .. g_N, complex `[..., N]`, of modulus at most 1.
    """
    a = as_complex(coefficients)
    terms = a.shape[-1]
    length = fast_length(2 * terms - 1)  # no wrap-around
    spectrum = squared_modulus(apply_fft(torch.fft.fft, a, length))
    c = apply_fft(torch.fft.rfft, spectrum, length, "forward")[..., :terms].conj()
    return c[..., 1:] / c[..., :1].real


def apply_fft(
    transform: Callable[..., Tensor], values: Tensor, points: int, norm: str = "backward"
) -> Tensor:
    """Applies one of torch's FFTs along the last dimension; unlike them, to an empty batch too.

    Args:
        transform: Such as `torch.fft.ifft`.
        values: `[..., K]`.
        points: Length of the transform.
        norm: Which direction has the factor of 1 / `points`.
    """
    if values.numel():
        return transform(values, n=points, norm=norm)
    one = transform(values.new_zeros(values.shape[-1]), n=points, norm=norm)
    return (one + values.abs().sum()).expand(*values.shape[:-1], -1)  # the sum is for gradients


def squared_modulus(values: Tensor) -> Tensor:
    """Computes |v|² of complex numbers `[...]`."""
    parts = torch.view_as_real(values.resolve_conj()).square()
    return parts[..., 0] + parts[..., 1]  # three times as fast as a sum over two


def in_chunks(coefficients: Tensor, points: int) -> tuple[Tensor, ...]:
    """Splits coefficients `[..., K]` into rows `[n, K]`, few enough for FFTs of `points`."""
    rows = coefficients.reshape(-1, coefficients.shape[-1])
    return torch.split(rows, max(1, CHUNK // points))


def fast_length(least: int) -> int:
    """Finds the least 2^i or 3^j 2^i, j at most 2, from a number on: lengths of fast FFTs."""
    return min(odd << max(0, -(-least // odd) - 1).bit_length() for odd in (1, 3, 9))
