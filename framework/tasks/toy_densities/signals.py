"""Periodic functions of one number, to test whether a network learns the period.

Source: Dong et al., "FAN: Fourier Analysis Networks" (arXiv:2410.02675), tasks of periodicity
    modeling. The number of harmonics of their saw-tooth is not given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Signal(ABC):
    """A function of one number."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""


class Sine(Signal):
    """sin x, of variance 1/2."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return x.sin()


class Modulo(Signal):
    """The remainder x mod `period`, a ramp that falls back to zero, of variance period² / 12.

    Args:
        period: What is divided by, positive.

    Raises:
        ValueError: If `period` is not positive.
    """

    def __init__(self, period: float = 5.0) -> None:
        if not period > 0:
            raise ValueError(f"Modulo: period={period} is not positive; give a length.")
        self.period = period

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`: from 0 to `period`, also of negative numbers."""
        return x % self.period


class Sawtooth(Signal):
    """The first harmonics of a saw-tooth wave: the sum of sin(kx) / k.

    Args:
        harmonics: How many, at least 1.

    Raises:
        ValueError: If there is none.
    """

    def __init__(self, harmonics: int = 5) -> None:
        if harmonics < 1:
            raise ValueError(f"Sawtooth: harmonics={harmonics} adds up nothing; use at least 1.")
        self.harmonics = harmonics

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        k = torch.arange(1, self.harmonics + 1, dtype=x.dtype, device=x.device)
        return ((x.unsqueeze(-1) * k).sin() / k).sum(-1)


class MixedPeriods(Signal):
    """exp(sin² πx + cos x + (x mod 3) - 1): three periods that have no common one."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return ((torch.pi * x).sin().square() + x.cos() + x % 3 - 1).exp()


class ModulatedAmplitude(Signal):
    """(1 + sin x) sin 2x: a wave whose height is a wave."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return (1 + x.sin()) * (2 * x).sin()


class ModulatedPhase(Signal):
    """sin(x + sin 2x): a wave whose pace is a wave."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return (x + (2 * x).sin()).sin()


class MixedProducts(Signal):
    """sin x cos² 2x + cos x sin² 3x."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return x.sin() * (2 * x).cos().square() + x.cos() * (3 * x).sin().square()


class Quotient(Signal):
    """exp(sin x) / (1 + cos² 2x)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluates it at each of `[...]`."""
        return x.sin().exp() / (1 + (2 * x).cos().square())
