"""StateSpaceSynth: series drawn from exponential smoothing models with random parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.papers.chronos.generated import PIECE, Generated

Values = NDArray[np.float64]
Rng = np.random.Generator

PERIODS = (1, 4, 6, 7, 12, 24, 48, 52)
"""Steps of a season: none, and those of quarters, months, days, hours, half hours and weeks."""
FREQUENCY = (0.34, 0.2, 0.02, 0.06, 0.28, 0.05, 0.02, 0.03)  # of each period
WARM_UP = 24  # steps before a series begins, in which its components leave their initial values
HARMONICS = 4  # of the smooth part of a season
BREAK = 16  # steps at the new trend that move the level as far as a jump does
LARGEST_LOG = 20.0  # bound of logarithms: values stay far from the limits of float32
LARGEST = 1e12  # bound of values, in units of the noise


class StateSpaceSynth(Generated):
    r"""Draws series of level, trend, season and noise, each of which changes at its own speed.

    .. math:: y_t = \ell_{t-1} + \phi b_{t-1} + s_{t-m} + n_t, \quad
              \ell_t = \ell_{t-1} + \phi b_{t-1} + \alpha e_t, \quad
              b_t = \phi b_{t-1} + \beta e_t, \quad s_t = s_{t-m} + \gamma e_t

    where e are innovations (normal, or with the tails of a Student-t distribution) and n is e or,
    in some series, an autoregressive process with these innovations. In most series that is the
    logarithm of the values, so that season and noise grow with the level. Some have no trend, or a
    damped one, or no season, and in some the level jumps and goes on with another trend. Nothing
    is taken from a recorded series.

    Args:
        number: Number of series.
        shortest: Fewest steps of a series, at least 2.
        longest: Most steps; lengths are drawn evenly on the scale of their logarithm.
        multiplicative: Fraction of the series that are exponentiated, from 0 to 1.
        seed: Seed of the draws.
        workers: Processes that draw; the series do not depend on it.

    Raises:
        ValueError: If nothing would be drawn, or an option is out of its range.

    Source: the models are those of Hyndman et al., "Forecasting with Exponential Smoothing: The
        State Space Approach" (2008), chapter 2. That simulated series suffice to pretrain: Dooley
        et al., "ForecastPFN" (arXiv:2311.01933). Their distributions of parameters are not used.
    """

    def __init__(
        self,
        number: int = 100_000,
        shortest: int = 32,
        longest: int = 192,
        multiplicative: float = 0.6,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(number, seed, workers)
        if not 2 <= shortest <= longest:
            raise ValueError(
                f"StateSpaceSynth: shortest={shortest}, longest={longest}; lengths need at least "
                "2 steps, and shortest must not exceed longest."
            )
        if not 0 <= multiplicative <= 1:
            raise ValueError(
                f"StateSpaceSynth: multiplicative={multiplicative} is a fraction; use 0 to 1."
            )
        self.shortest, self.longest, self.multiplicative = shortest, longest, multiplicative

    def key(self) -> dict[str, object]:
        """Names the options that the series depend on."""
        options = [self.number, self.shortest, self.longest, self.multiplicative, self.seed]
        return {"state_space_synth": 4, "options": options}

    def draw_piece(self, numbers: range) -> list[Values]:
        """Draws series together, which takes a fiftieth of the time of one after the other."""
        rng = np.random.default_rng((self.seed, numbers.start))
        logarithmic = rng.random(PIECE) < self.multiplicative
        values = Models.draw(rng, logarithmic).simulate(rng, self.longest + WARM_UP)[:, WARM_UP:]
        exponential = np.exp(values.clip(-LARGEST_LOG, LARGEST_LOG))
        values = np.where(logarithmic[:, None], exponential, values.clip(-LARGEST, LARGEST))
        length = np.exp(rng.uniform(np.log(self.shortest), np.log(self.longest + 1), PIECE))
        steps = length.astype(np.int64).clip(self.shortest, self.longest)
        return [row[:end] for _, row, end in zip(numbers, values, steps, strict=False)]


class Models(NamedTuple):
    """Parameters of N series, and their initial components."""

    level: Values  # [N]
    trend: Values  # [N], per step
    season: Values  # [N, M], of which the first `period` count
    period: NDArray[np.int64]  # [N]
    noise: Values  # [N], standard deviation of the innovations
    alpha: Values  # [N], what of an innovation enters the level,
    beta: Values  # [N], the trend
    gamma: Values  # [N], and the season
    damping: Values  # [N], of the trend, in a step
    correlation: Values  # [N], of the noise of neighboring steps
    heavy: NDArray[np.bool_]  # [N], whether innovations have heavy tails
    jumps: Values  # [N], probability that the level jumps, in a step

    @classmethod
    def draw(cls, rng: Rng, logarithmic: NDArray[np.bool_]) -> Models:
        """Draws parameters; those of logarithms are relative changes."""
        number = len(logarithmic)

        def some(probability: float) -> NDArray[np.bool_]:
            return rng.random(number) < probability

        # In units of the noise, which is what a logarithm changes by where it is no unit.
        noise = np.where(logarithmic, np.exp(rng.normal(-2.5, 0.9, number)), 1.0)
        trending = some(0.75)
        alpha = rng.beta(1.0, 2.0, number)
        beta = np.where(trending & some(0.5), alpha * rng.beta(1.0, 6.0, number), 0.0)
        slope = np.exp(rng.normal(-1.7, 1.3, number)) * noise * _sign(rng, number, 0.65)
        slope = np.where(logarithmic, slope.clip(-0.15, 0.15), slope)
        period = rng.choice(PERIODS, number, p=FREQUENCY)
        size = np.exp(rng.normal(0.8, 1.0, number)) * noise
        size = np.where(logarithmic, np.minimum(size, 1.2), size)
        level = np.exp(rng.normal(3.0, 1.5, number)) * _sign(rng, number, 0.95)
        return cls(
            level=np.where(logarithmic, 0.0, level),
            trend=np.where(trending, slope, 0.0),
            season=seasons(rng, period) * np.where(period > 1, size, 0.0)[:, None],
            period=period,
            noise=noise,
            alpha=alpha,
            beta=beta,
            gamma=np.where(some(0.6), (1 - alpha) * rng.beta(1.0, 8.0, number), 0.0),
            damping=np.where(some(0.5), rng.uniform(0.8, 0.99, number), 1.0),
            correlation=np.where(some(0.3), rng.uniform(-0.4, 0.9, number), 0.0),
            heavy=some(0.3),
            jumps=np.where(some(0.1), 0.01, 0.0),
        )

    def simulate(self, rng: Rng, steps: int) -> Values:
        """Draws values `[N, steps]`."""
        number, rows = len(self.level), np.arange(len(self.level))
        shocks = self.noise[:, None] * _innovations(rng, self.heavy, steps)
        jumps = 4 * self.noise[:, None] * rng.standard_normal((number, steps))
        jumps *= rng.random((number, steps)) < self.jumps[:, None]
        level, trend, season = self.level.copy(), self.trend.copy(), self.season.copy()
        noise, values = np.zeros(number), np.empty((number, steps))
        for t in range(steps):
            shock, place = shocks[:, t], (rows, t % self.period)
            noise = self.correlation * noise + shock
            trend = self.damping * trend
            level = level + trend
            values[:, t] = level + season[place] + noise
            level = level + self.alpha * shock + jumps[:, t]
            trend = np.where(jumps[:, t] != 0, jumps[:, t] / BREAK, trend) + self.beta * shock
            season[place] += self.gamma * shock
        return values


def seasons(rng: Rng, period: NDArray[np.int64]) -> Values:
    """Draws seasons of periods `[N]`: smooth, free, or something between; `[N, M]`.

    Their mean is 0 and their standard deviation 1 over the period, behind which they are 0; those
    of a period of 1 are 0.
    """
    number, longest = len(period), max(PERIODS)
    time = np.arange(longest)
    order = np.arange(1, HARMONICS + 1)
    turns = time * order[:, None] / period[:, None, None]  # [N, harmonics, M]
    phase = 2 * np.pi * (turns + rng.random((number, HARMONICS, 1)))
    size = rng.standard_normal((number, HARMONICS)) * order ** -rng.uniform(0, 2, (number, 1))
    smooth = np.einsum("nht,nh->nt", np.sin(phase), size)
    free = rng.standard_normal((number, longest))
    part = np.where(rng.random(number) < 0.5, rng.random(number), rng.integers(0, 2, number))
    inside = time < period[:, None]
    pattern = (1 - part[:, None]) * _standardized(smooth, inside)
    return _standardized(pattern + part[:, None] * _standardized(free, inside), inside)


def _standardized(values: Values, inside: NDArray[np.bool_]) -> Values:
    """Brings the part `inside` of rows `[N, M]` to mean 0 and standard deviation 1."""
    count = inside.sum(1, keepdims=True)
    centered = values - np.where(inside, values, 0).sum(1, keepdims=True) / count
    centered = np.where(inside, centered, 0.0)
    spread = np.sqrt((centered**2).sum(1, keepdims=True) / count)
    return np.asarray(centered / np.where(spread > 1e-9, spread, 1.0))


def _innovations(rng: Rng, heavy: NDArray[np.bool_], steps: int) -> Values:
    """Draws innovations of standard deviation 1, `[N, steps]`: normal, or Student-t 3."""
    normal = rng.standard_normal((len(heavy), steps))
    tails = rng.standard_t(3, (len(heavy), steps)) / np.sqrt(3)
    return np.where(heavy[:, None], tails, normal)


def _sign(rng: Rng, number: int, positive: float) -> Values:
    """Draws signs, +1 with the probability `positive`."""
    return np.where(rng.random(number) < positive, 1.0, -1.0)
