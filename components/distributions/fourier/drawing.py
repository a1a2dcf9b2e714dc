"""Draws from a Fourier density and from its cells, and the largest of these, by small FFTs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from components.distributions.fourier.polynomial import (
    angles,
    apply_fft,
    as_complex,
    center_angles,
    center_table,
    correlate,
    fast_length,
    in_chunks,
    squared_modulus,
)
from components.distributions.tensors import choose, require_numbers, unless_nan, without_autocast

LEAST_CELLS = 512  # of which evaluating one block takes less than evaluating all


@torch.no_grad()
def draw(coefficients: Tensor, sample_shape: torch.Size) -> Tensor:
    r"""Draws z with density :math:`|A(z)|^2 / (2 \sum_k |a_k|^2)` on [-1, 1].

    Over M > N even points of a period the density sums to the same number wherever the first of
    them lies, because no wave of up to N turns survives the sum. So a first point that is drawn
    uniformly, and one of its M points drawn by their densities, make an exact draw. Unlike an
    inversion that needs no autocorrelation, no table and no search.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[*batch, 2(N + 1)]`.
        sample_shape: Draws of each distribution.

    Returns:
        Positions z, `[*sample_shape, *batch]`, without gradient.
    """
    a = as_complex(coefficients)
    terms = a.shape[-1]
    points = fast_length(terms)
    shape = torch.Size((*sample_shape, *coefficients.shape[:-1]))
    first = coefficients.new_empty(shape).uniform_() * (2 / points) - 1
    angle = angles(first, terms)
    turned = a * torch.complex(angle.cos(), angle.sin())
    sums = squared_modulus(apply_fft(torch.fft.ifft, turned, points, "forward")).cumsum(-1)
    point = choose(sums, torch.rand_like(sums[..., -1:])).squeeze(-1)
    return unless_nan(sums[..., -1], first + point * (2 / points))


@torch.no_grad()
def draw_cell(coefficients: Tensor, size: int) -> Tensor:
    r"""Draws one of m cells from each distribution :math:`q_j \propto |A(z_j)|^2`, j < m.

    Cells stand in about sqrt(m) blocks. A density of N frequencies is known from 2N + 1 points,
    so one FFT and one product with a table give the probability of every block; within the block
    that is drawn the cells are evaluated, and no others.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[*batch, 2(N + 1)]`.
        size: Number of cells, m, more than N.

    Returns:
        Cells, int64 `[*batch]`.

    Raises:
        ValueError: On a CPU, if coefficients are NaN.
    """
    length = _block_length(size)
    a = as_complex(coefficients)
    blocks = _blocks(size, a.shape[-1], coefficients.dtype, coefficients.device)
    power = squared_modulus(apply_fft(torch.fft.ifft, a, len(blocks.sums), "forward"))
    with without_autocast(coefficients):
        sums = power @ blocks.sums
        require_numbers(sums[..., -1])
        block = choose(sums, torch.rand_like(sums[..., :1]))
        turned = torch.view_as_real(a * blocks.turns[block.squeeze(-1)]).flatten(-2)
        weights = (turned @ blocks.straight).square() + (turned @ blocks.turned).square()
    cells = block * length + torch.arange(length, device=block.device)
    within = torch.where(cells < size, weights, 0.0).cumsum(-1)
    return cells.gather(-1, choose(within, torch.rand_like(within[..., :1]))).squeeze(-1)


@torch.no_grad()
def largest_cells(coefficients: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    r"""Finds the largest of the cells :math:`q_j = |A(z_j)|^2 / (m \sum_k |a_k|^2)`, j < m.

    Probabilities are real, and their spectrum is that of the correlations: one FFT of real numbers
    gives all, in less than half of the time of squared complex ones, to rounding of the largest.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[*batch, 2(N + 1)]`.
        size: Number of cells, m, at least 2N + 2.
        count: How many.

    Returns:
        Their probabilities, 0 or less where rounding is larger, and their numbers, int64, both
        `[*batch, count]`, in no order.
    """
    first = torch.zeros((), dtype=torch.int64, device=coefficients.device)
    angle = center_angles(first, size, coefficients.shape[-1] // 2, coefficients.dtype)
    turn = torch.polar(torch.ones_like(angle), angle)
    found = []
    for rows in in_chunks(coefficients, size):
        waves = pad(correlate(rows), (1, 0), value=1.0) * turn
        found.append(apply_fft(torch.fft.irfft, waves, size, "forward").topk(count, sorted=False))
    shape = (*coefficients.shape[:-1], count)
    values, indices = zip(*found, strict=True)
    return torch.cat(values).view(shape) / size, torch.cat(indices).view(shape)


def blocks_pay(size: int, terms: int, draws: int) -> bool:
    """Returns whether `draw_cell` takes less time than the probabilities of all cells do."""
    return size >= max(LEAST_CELLS, 4 * terms * draws)


class _Blocks(NamedTuple):
    """What `draw_cell` reads, for S blocks of B cells, K frequencies and P points."""

    sums: Tensor  # [P, S]: from the density at points to the mass up to the end of each block
    turns: Tensor  # complex [S, K]: from the first block to each
    straight: Tensor  # [2K, B]: the real part of A in the first block; parts of a_k stand in turns
    turned: Tensor  # [2K, B]: the imaginary part


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _blocks(size: int, terms: int, dtype: torch.dtype, device: torch.device) -> _Blocks:
    r"""Computes the tables in float64, once.

    The masses of all cells before the J-th add up to
    :math:`J/m + (2/m) \Re \sum_k g_k e^{i \pi k (J - m)/m} \sin(\pi k J/m) / \sin(\pi k/m)`, a
    geometric sum, where P points give :math:`g_k = \sum_t p(z_t) e^{-i \pi k z_t} / P`.
    """
    length = _block_length(size)
    points = fast_length(2 * terms - 1)
    k = torch.arange(terms, dtype=torch.float64, device="cpu")
    starts = torch.arange(0, size, length, dtype=torch.float64, device="cpu")
    turn = 2 * math.pi * torch.remainder(starts.unsqueeze(-1) * k, size) / size
    ends = (starts + length).clamp_max(size)
    angle = math.pi * k[1:] * ends.unsqueeze(-1) / size
    geometric = torch.polar(angle.sin() / (math.pi * k[1:] / size).sin(), angle - math.pi * k[1:])
    at = torch.arange(points, dtype=torch.float64, device="cpu").unsqueeze(-1)
    backward = -2 * math.pi * torch.remainder(at * k[1:], points) / points
    waves = torch.polar(torch.ones_like(backward), backward) @ geometric.T
    sums = (ends + 2 * waves.real) / (size * points)
    straight, turned = (
        part[:length].view(length, 2, terms).mT.reshape(length, -1).T.contiguous()
        for part in center_table(size, terms, k)
    )
    turns = torch.polar(torch.ones_like(turn), turn)
    return _Blocks(
        sums.to(device, dtype),
        turns.to(device, dtype.to_complex()),
        straight.to(device, dtype),
        turned.to(device, dtype),
    )


def _block_length(size: int) -> int:
    return 1 << round(math.log2(size) / 2)
