"""Rescaled rotary positions: how a model reads longer sequences than it was first trained on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class RotaryScaling(ABC):
    """Changes the frequencies at which `Rotary` turns its planes."""

    amplitude = 1.0
    """Factor of rotated queries and keys."""

    @abstractmethod
    def apply(self, frequencies: Tensor, theta: float) -> Tensor:
        """Rescales frequencies.

        Args:
            frequencies: Of each plane, in radians per position, `[P]`; the first is 1.
            theta: Base of the wavelengths.

        Returns:
            The frequencies that are used, `[P]`.
        """


@dataclass(frozen=True)
class LinearScaling(RotaryScaling):
    """Divides all frequencies, as if positions lay closer together.

    Args:
        factor: How many times longer sequences become, positive.

    Source: Chen et al., "Extending Context Window of Large Language Models via Positional
        Interpolation" (arXiv:2306.15595), eq. 4.
    """

    factor: float

    def __post_init__(self) -> None:
        """Checks the options."""
        _require_positive("LinearScaling", factor=self.factor)

    def apply(self, frequencies: Tensor, theta: float) -> Tensor:
        """Rescales frequencies `[P]`."""
        return frequencies / self.factor


@dataclass(frozen=True)
class Llama3Scaling(RotaryScaling):
    """Divides low frequencies, leaves high ones alone, and interpolates between, as Llama 3.1.

    Args:
        factor: What low frequencies are divided by, positive.
        length: Positions of the sequences of the first training.
        low: Frequencies that turn fewer times than this within `length` are divided.
        high: Those that turn more often than this stay; more than `low`.

    Raises:
        ValueError: If an option is out of its range.

    Source: Grattafiori et al., "The Llama 3 Herd of Models" (arXiv:2407.21783), and its code.
    """

    factor: float
    length: int
    low: float = 1.0
    high: float = 4.0

    def __post_init__(self) -> None:
        """Checks the options."""
        _require_positive("Llama3Scaling", factor=self.factor, length=self.length, low=self.low)
        if self.high <= self.low:
            raise ValueError(
                f"Llama3Scaling: high={self.high} must be more than low={self.low}; raise it."
            )

    def apply(self, frequencies: Tensor, theta: float) -> Tensor:
        """Rescales frequencies `[P]`."""
        turns = self.length * frequencies / (2 * math.pi)
        kept = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return (1 - kept) * frequencies / self.factor + kept * frequencies


@dataclass(frozen=True)
class YarnScaling(RotaryScaling):
    r"""Divides low frequencies, leaves high ones alone, with a ramp over planes between (YaRN).

    Queries and keys are both multiplied by `attention_factor`, which sharpens attention.

    Args:
        factor: What low frequencies are divided by, positive.
        length: Positions of the sequences of the first training.
        fast: Planes that turn more often than this within `length` stay.
        slow: Planes that turn fewer times than this are divided; less than `fast`.
        attention_factor: Factor of queries and of keys; 0.1 ln(factor) + 1 if not given.

    Raises:
        ValueError: If an option is out of its range.

    Source: Peng et al., "YaRN" (arXiv:2309.00071), eq. 18 to 22; bounds of the ramp are whole
        planes, as in their code.
    """

    factor: float
    length: int
    fast: float = 32.0
    slow: float = 1.0
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        _require_positive("YarnScaling", factor=self.factor, length=self.length, slow=self.slow)
        if self.fast <= self.slow:
            raise ValueError(
                f"YarnScaling: fast={self.fast} must be more than slow={self.slow}; raise it."
            )

    @property
    def amplitude(self) -> float:  # type: ignore[override]  # a constant of the other scalings
        """Factor of rotated queries and keys."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1 if self.factor > 1 else 1.0

    def apply(self, frequencies: Tensor, theta: float) -> Tensor:
        """Rescales frequencies `[P]`."""
        planes = len(frequencies)

        def plane(turns: float) -> float:
            return planes * math.log(self.length / (2 * math.pi * turns)) / math.log(theta)

        first = max(math.floor(plane(self.fast)), 0)
        last = min(math.ceil(plane(self.slow)), 2 * planes - 1)
        index = torch.arange(planes, device=frequencies.device, dtype=frequencies.dtype)
        ramp = ((index - first) / max(last - first, 0.001)).clamp(0, 1)
        return ramp * frequencies / self.factor + (1 - ramp) * frequencies


def _require_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{owner}: {name}={value} is no positive number; give one.")
