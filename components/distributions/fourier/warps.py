"""Warps: monotone maps from the whole line to the interval where a Fourier density lives."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus


class Warp(ABC):
    """An odd map that increases from -1 at minus infinity to 1 at infinity."""

    @abstractmethod
    def squeeze(self, y: Tensor) -> Tensor:
        """Maps any numbers `[...]` to z between -1 and 1."""

    @abstractmethod
    def stretch(self, rest: Tensor) -> Tensor:
        """Finds the y of at least 0 at which 1 - z is `rest`, between 0 and 1, `[...]`."""

    @abstractmethod
    def log_slope(self, y: Tensor) -> Tensor:
        """Computes log dz/dy at any numbers `[...]`, without overflow."""

    @abstractmethod
    def bend(self, y: Tensor) -> Tensor:
        """Computes the derivative of `log_slope`, `[...]`."""

    def invert(self, z: Tensor) -> Tensor:
        """Maps z `[...]` back to y, the ends ±1 to the last ones before them, which are finite."""
        rest = (1 - z.abs()).clamp_min(torch.finfo(z.dtype).eps / 2)
        return z.sign() * self.stretch(rest)


class WarpFactory(Protocol):
    """Builds a warp."""

    def __call__(self) -> Warp:
        """Builds it."""
        ...


class TanhWarp(Warp):
    r"""The hyperbolic tangent: an even Fourier density gives logistic outcomes.

    .. math:: z = \tanh y

    Densities fall like :math:`e^{-2 |y|}`.

    Source: De la Fuente et al., "Fourier Basis Density Model" (arXiv:2402.15345), section 2.
    """

    def squeeze(self, y: Tensor) -> Tensor:
        """Maps any numbers `[...]` to z between -1 and 1."""
        return y.tanh()

    def stretch(self, rest: Tensor) -> Tensor:
        """Finds the y of at least 0 at which 1 - z is `rest`, between 0 and 1, `[...]`."""
        return ((2 - rest) / rest).log() / 2

    def log_slope(self, y: Tensor) -> Tensor:
        """Computes log dz/dy at any numbers `[...]`, without overflow."""
        size = y.abs()
        return 2 * (math.log(2) - size - softplus(-2 * size))

    def bend(self, y: Tensor) -> Tensor:
        """Computes the derivative of `log_slope`, `[...]`."""
        return -2 * y.tanh()


class ErfWarp(Warp):
    r"""The error function: an even Fourier density gives normal outcomes.

    .. math:: z = \mathrm{erf}(y / \sqrt 2)

    Densities fall like :math:`e^{-y^2/2}`; beyond 10¹⁹ they are scored as at 10¹⁹.
    """

    LAST = 1e19  # its square is finite in float32

    def squeeze(self, y: Tensor) -> Tensor:
        """Maps any numbers `[...]` to z between -1 and 1."""
        return torch.erf(y / math.sqrt(2))

    def stretch(self, rest: Tensor) -> Tensor:
        """Finds the y of at least 0 at which 1 - z is `rest`, between 0 and 1, `[...]`."""
        y: Tensor = -torch.special.ndtri(rest / 2)
        return y

    def log_slope(self, y: Tensor) -> Tensor:
        """Computes log dz/dy at any numbers `[...]`, without overflow."""
        return (math.log(2 / math.pi) - y.clamp(-self.LAST, self.LAST).square()) / 2

    def bend(self, y: Tensor) -> Tensor:
        """Computes the derivative of `log_slope`, `[...]`."""
        return -y
