"""Smoothness over ordered cells: how little neighboring probabilities differ."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import pad

from components.distributions import (
    CategoricalWithSpecials,
    Discrete,
    FourierCategorical,
    Histogram,
)
from components.distributions.dispatch import functional
from components.distributions.fourier.polynomial import squared_modulus
from components.distributions.tensors import tiny, to_float32
from components.distributions.vectors import add_components

SCALES = 100  # widths of the filters, in cells; the sum over all integers is cut there


def smoothness(probabilities: Tensor) -> Tensor:
    r"""Measures how far probabilities are from what Gaussian filters make of them; 0 is smoothest.

    .. math:: \sum_{\sigma=1}^{100} \frac{6}{\pi^2 \sigma^2} \lVert y - g_\sigma * y \rVert_2

    y are the probabilities of m cells and g a Gaussian of sum 1, cut after m - 1 cells, whose
    standard deviation counts cells; it is applied circularly. Computed exactly in the frequency
    domain. Values compare between distributions on as many cells only, and less is not better:
    what is true may be rough.

    Args:
        probabilities: One distribution over m ordered cells in each row, `[..., m]`.

    Returns:
        One value per distribution, `[...]`.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), section 4 and appendix B; weights
        are those of their code, which does not make up for the cut at 100.
    """
    cells = probabilities.shape[-1]
    spectrum = torch.fft.rfft(to_float32(probabilities))[..., 1:]
    return _filtered(squared_modulus(spectrum), cells)


def smoothness_of_correlations(correlations: Tensor, cells: int) -> Tensor:
    r"""Measures the smoothness of Fourier cells without computing their probabilities.

    The spectrum of :math:`q_j \propto 1 + 2 \Re \sum_{k=1}^N g_k e^{i \pi k z_j}` is known: its
    first half is, up to phases, g_1 .. g_N if N < m/2. Of more frequencies some look alike at the
    centers, k and m - k and k + m; they are added up. The cost is that of N frequencies, not of m.

    Args:
        correlations: The numbers g_1 .. g_N, complex `[..., N]`.
        cells: Number of cells, m.

    Returns:
        One value per distribution, `[...]`, equal to `smoothness` of its probabilities.
    """
    if 2 * correlations.shape[-1] < cells:
        return _filtered(squared_modulus(correlations), cells)
    half = torch.full_like(correlations[..., :1], 0.5)
    series = torch.cat((half, correlations), -1)
    series = pad(series, (0, -series.shape[-1] % cells))
    blocks = series.reshape(*series.shape[:-1], -1, cells)
    order = torch.arange(blocks.shape[-2], device=blocks.device).unsqueeze(-1)
    turn = 1 - 2 * ((cells - 1) % 2)  # exp(iπ m z_j)
    folded = (blocks * turn**order).sum(-2)
    whole = 2 * folded[..., :1].real
    alike = folded[..., 1:] + turn * folded[..., 1:].flip(-1).conj()
    power = squared_modulus(alike[..., : cells // 2])
    return _filtered(power / whole.square().clamp_min(tiny(whole)), cells)


def _average_components(values: Tensor, distribution: Distribution) -> Tensor:
    return add_components(values, distribution) / distribution.event_shape.numel()


@functional(join=_average_components)
def smoothness_of(distribution: Distribution) -> Tensor:
    """Measures the smoothness of a distribution's cells; see `smoothness`.

    Of a histogram it is that of the masses of its cells, whatever their widths and units; of a
    vector, the mean over its components. Outcomes outside the order are left out, as if they
    were impossible. Fourier distributions give it in closed form.

    Args:
        distribution: A distribution over ordered outcomes, batch shape `[...]`.

    Returns:
        One value per distribution, `[...]`.

    Raises:
        TypeError: If the distribution has no cells.
    """
    raise TypeError(
        f"The smoothness of a {type(distribution).__name__} is unknown: it has no cells; give its "
        "head bins or measure `smoothness` of its masses between edges."
    )


@smoothness_of.register
def _(distribution: Discrete) -> Tensor:
    return smoothness(distribution.probs)


@smoothness_of.register
def _(distribution: FourierCategorical) -> Tensor:
    closed = smoothness_of_correlations(distribution.correlations, distribution.size)
    return closed / (1 + distribution.size * distribution.eps)


@smoothness_of.register
def _(distribution: CategoricalWithSpecials) -> Tensor:
    return smoothness_of(distribution.ordered)


@smoothness_of.register
def _(distribution: Histogram) -> Tensor:
    return smoothness_of(distribution.cells)


def _filtered(power: Tensor, cells: int) -> Tensor:
    """Sums the norms of what each filter removes, from |Y_k|² for k = 1 .. K, `[..., K]`."""
    response = _response(cells, power.dtype, power.device)[: power.shape[-1]]
    with torch.autocast(power.device.type, enabled=False):  # it would multiply in half precision
        total: Tensor = (power @ response).sqrt() @ _weights(power.dtype, power.device)
    return total


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _response(cells: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What each filter removes of the power at frequencies k = 1 .. m // 2, `[m // 2, 100]`.

    By Parseval the squared norm of a residue is the mean of |Y_k|² (1 - H_k)² over all m
    frequencies; those below m/2 occur twice, and of the mean, k = 0, nothing is removed.
    """
    lag = torch.arange(cells, dtype=torch.float64)
    sigma = torch.arange(1, SCALES + 1, dtype=torch.float64).unsqueeze(-1)
    kernel = torch.exp(-0.5 * (lag / sigma).square())
    kernel[:, 1:] += kernel[:, 1:].flip(-1)  # lags -(m - 1) ... -1, wrapped around
    kernel /= kernel.sum(-1, keepdim=True)
    removed = 1 - torch.fft.rfft(kernel).real[:, 1:]
    twice = torch.full((cells // 2,), 2.0, dtype=torch.float64)
    if cells % 2 == 0:
        twice[-1] = 1
    response: Tensor = removed.square() * twice / cells
    return response.T.contiguous().to(device, dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    sigma = torch.arange(1, SCALES + 1, dtype=torch.float64)
    return (6 / (math.pi * sigma).square()).to(device, dtype)
