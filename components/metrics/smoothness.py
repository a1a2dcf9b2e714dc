"""Smoothness of a predicted categorical: how little its probabilities jump between neighbors."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from components.distributions.precision import widen

SCALES = 100  # widths of the filters, in cells; the sum over all integers is cut there


def smoothness(probabilities: Tensor) -> Tensor:
    r"""Measures how far probabilities are from what Gaussian filters make of them; 0 is smoothest.

    .. math:: \sum_{\sigma=1}^{100} \frac{6}{\pi^2 \sigma^2} \lVert y - g_\sigma * y \rVert_2

    y are the probabilities of m cells and g a Gaussian of sum 1, cut after m - 1 cells, whose
    standard deviation counts cells; it is applied circularly. Computed exactly in the frequency
    domain. Values compare between laws on as many cells only, and less is not better: what is true
    may be rough.

    Args:
        probabilities: One law over m ordered cells in each row, `[..., m]`.

    Returns:
        One value per law, `[...]`.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), section 4 and appendix B; weights
        are those of their code, which does not make up for the cut at 100.
    """
    cells = probabilities.shape[-1]
    values = widen(probabilities)
    power = torch.fft.rfft(values).abs().square()
    response = _response(cells, values.dtype, values.device)
    with torch.autocast(values.device.type, enabled=False):  # it would multiply in half precision
        total: Tensor = (power @ response).sqrt() @ _weights(values.dtype, values.device)
    return total


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _response(cells: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What each filter removes of the power at each frequency, `[m // 2 + 1, 100]`.

    By Parseval the squared norm of a residue is the mean of |Y_k|² (1 - H_k)² over all m
    frequencies; those between the lowest and the highest occur twice.
    """
    lag = torch.arange(cells, dtype=torch.float64)
    sigma = torch.arange(1, SCALES + 1, dtype=torch.float64).unsqueeze(-1)
    kernel = torch.exp(-0.5 * (lag / sigma).square())
    kernel[:, 1:] += kernel[:, 1:].flip(-1)  # lags -(m - 1) ... -1, wrapped around
    kernel /= kernel.sum(-1, keepdim=True)
    removed = 1 - torch.fft.rfft(kernel).real
    removed[:, 0] = 0  # a filter keeps the mean; rounding must not say otherwise
    twice = torch.full((cells // 2 + 1,), 2.0, dtype=torch.float64)
    twice[0] = 1
    if cells % 2 == 0:
        twice[-1] = 1
    response: Tensor = removed.square() * twice / cells
    return response.T.contiguous().to(device, dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    sigma = torch.arange(1, SCALES + 1, dtype=torch.float64)
    return (6 / (math.pi * sigma).square()).to(device, dtype)
