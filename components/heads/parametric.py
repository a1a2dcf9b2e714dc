"""Heads that predict parameters of a distribution on the line: normal, Student-t, mixture.

They predict values of intervals and bins, whose bounds determine the units and the initial
distribution, which covers the interval. No value is impossible, also none beyond the bounds;
for data that were clipped to them, the tails beyond can be point masses on the bounds.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.nn.functional import softplus

from components.distributions import Censored, Mixture, StudentT
from components.distributions.tensors import to_float32
from components.distributions.vectors import joint
from components.interfaces import Head
from components.layers.linear import PresetLinear
from components.numbers import count
from components.supports import Bins, Interval, Support, Tokens

SPREAD = 1 / math.sqrt(12)  # standard deviation of the uniform distribution on [0, 1]
FLOOR = 1e-5  # least scale in widths of the interval, a hundred times the resolution of float32
START_DF = 10.0  # initial degrees of freedom: nearly normal, and far from infinite variance


class ParametricHead(Head):
    """Predicts the parameters of a distribution by a linear map of the hidden state.

    A subclass gives the initial raw parameters, and makes a distribution of raw parameters.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        start: Initial raw parameters of one component of the outcome.
        censored: Whether outcomes were clipped to the interval, so that the mass beyond a bound
            lies on it.

    Raises:
        ValueError: If the support is one of tokens.
    """

    def __init__(
        self, dim: int, support: Support, start: Sequence[float], censored: bool = False
    ) -> None:
        super().__init__()
        self.support = support
        interval = real_interval(support, type(self).__name__)
        self.low, self.size = interval.low, interval.high - interval.low
        self.high, self.censored = interval.high, censored
        self.parameters_per_distribution = len(start)
        self.projection = PresetLinear(dim, tuple(start) * math.prod(support.shape))

    @abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """Makes distributions of batch shape `[...]` from raw parameters `[..., n]`."""

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        shape = self.support.shape
        raw = self.projection(hidden).unflatten(-1, (*shape, self.parameters_per_distribution))
        distribution = self.distribution(to_float32(raw))
        if self.censored:
            distribution = Censored(distribution, self.low, self.high)
        return joint(distribution, shape)

    def location(self, raw: Tensor) -> Tensor:
        """Maps 0 to the lower and 1 to the upper bound."""
        return self.low + self.size * raw

    def scale(self, raw: Tensor) -> Tensor:
        """Maps any number to a positive scale, in the units of the outcome."""
        return self.size * (softplus(raw) + FLOOR)


class NormalHead(ParametricHead):
    """Predicts a normal distribution: one peak, thin tails.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        censored: Whether outcomes were clipped to the interval, so that the mass beyond a bound
            lies on it. Nats are then of masses on the bounds and of a density between, which
            compare between heads with such masses only; `nll_of_cells` compares all.

    Raises:
        ValueError: If the support is one of tokens.
    """

    def __init__(self, dim: int, support: Support, censored: bool = False) -> None:
        super().__init__(dim, support, (0.5, inverse_softplus(SPREAD)), censored)

    def distribution(self, raw: Tensor) -> Distribution:
        """Reads location and scale."""
        location, scale = raw.unbind(-1)
        return Normal(self.location(location), self.scale(scale), validate_args=False)


class StudentTHead(ParametricHead):
    """Predicts a Student-t distribution: one peak, and tails of learned heaviness.

    The degrees of freedom stay above 2, so that a variance exists.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        censored: Whether outcomes were clipped to the interval, so that the mass beyond a bound
            lies on it. Nats are then of masses on the bounds and of a density between, which
            compare between heads with such masses only; `nll_of_cells` compares all.

    Raises:
        ValueError: If the support is one of tokens.
    """

    def __init__(self, dim: int, support: Support, censored: bool = False) -> None:
        spread = SPREAD * math.sqrt((START_DF - 2) / START_DF)
        start = (inverse_softplus(START_DF - 2), 0.5, inverse_softplus(spread))
        super().__init__(dim, support, start, censored)

    def distribution(self, raw: Tensor) -> Distribution:
        """Reads degrees of freedom, location and scale."""
        df, location, scale = raw.unbind(-1)
        df = 2 + FLOOR + softplus(df)
        return StudentT(df, self.location(location), self.scale(scale))


class MixtureHead(ParametricHead):
    """Predicts a mixture of normal distributions: several peaks of learned widths.

    Initially there is one component in each of `components` equal parts of the interval.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        components: Number of normal distributions, at least 1.
        censored: Whether outcomes were clipped to the interval, so that the mass beyond a bound
            lies on it. Nats are then of masses on the bounds and of a density between, which
            compare between heads with such masses only; `nll_of_cells` compares all.

    Raises:
        ValueError: If the support is one of tokens, or `components` is below 1.
    """

    def __init__(
        self, dim: int, support: Support, components: int = 8, censored: bool = False
    ) -> None:
        components = count(components, "MixtureHead: components")
        if components < 1:
            raise ValueError(
                f"MixtureHead: components={components}; it needs at least 1 normal distribution."
            )
        centers = ((k + 0.5) / components for k in range(components))
        spread = inverse_softplus(SPREAD / components)
        start = (*(0.0,) * components, *centers, *(spread,) * components)
        super().__init__(dim, support, start, censored)

    def distribution(self, raw: Tensor) -> Distribution:
        """Reads logits, locations and scales of the components."""
        logits, location, scale = raw.chunk(3, -1)
        return Mixture(logits, self.location(location), self.scale(scale))


def inverse_softplus(value: float) -> float:
    """Finds the number whose softplus is a given positive value."""
    return value + math.log(-math.expm1(-value))


def real_interval(support: Support, name: str) -> Interval:
    """Returns the interval of a support of real values; the head `name` has no other support."""
    match support:
        case Interval():
            return support
        case Bins():
            return support.interval
        case Tokens():
            raise ValueError(
                f"{name} predicts real values, not Tokens(size={support.size}); "
                "use LinearHead, FanHead or FourierHead."
            )
