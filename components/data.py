"""Specs and batches: what a data module publishes once, and what it serves at every step.

A spec is a frozen dataclass of plain values (it is stored in checkpoints). A batch is a NamedTuple
of tensors without optional fields: it collates, pins and moves by itself. Targets are raw outcomes
in the units of the data, never bins.
Axes: B examples, T predicted positions, S positions of a sequence, C positions of context, F
features, H horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from components.supports import Bins, Interval, Tokens


class Batch(Protocol):
    """What every batch has: the targets and their weights."""

    @property
    def target(self) -> Tensor:
        """Outcomes, `[B, T, *support.shape]`, in the units of the data."""

    @property
    def weight(self) -> Tensor:
        """Weights of positions, `[B, T]` float; 0 where there is nothing to predict."""


class Spec(Protocol):
    """What every data module publishes: the support of its targets."""

    @property
    def support(self) -> Tokens | Interval | Bins:
        """What can be predicted."""


@dataclass(frozen=True)
class TokenSpec:
    """Facts of a token corpus.

    Args:
        support: The vocabulary.
        length: Positions in a window.
        bytes_per_token: Mean length of a token of the validation text in bytes, which turns nats
            per token into bits per byte, comparable between tokenizers; NaN if it is not known.
        separator: Token with which a document begins, where no position shall see another
            document of its window; None where a window is read as one text.
    """

    support: Tokens
    length: int
    bytes_per_token: float = 1.0
    separator: int | None = None


class TokenBatch(NamedTuple):
    """Windows of text: at each position the next token is predicted."""

    tokens: Tensor  # [B, T] int64, what the model reads
    target: Tensor  # [B, T] int64, the token that follows each
    weight: Tensor  # [B, T] float32


class PairBatch(NamedTuple):
    """Pairs of texts, the second of which is predicted from the first, token by token.

    The first three fields are those of `TokenBatch`; padding of the second text has weight 0.
    """

    tokens: Tensor  # [B, T] int64, the second text as the model reads it, behind a start token
    target: Tensor  # [B, T] int64, the second text
    weight: Tensor  # [B, T] float32
    source: Tensor  # [B, S] int64, the first text
    mask: Tensor  # [B, S] bool, False where the first text is padded


@dataclass(frozen=True)
class TrajectorySpec:
    """Facts of a set of episodes.

    Args:
        support: Actions that can be taken.
        observation: Shape of one observation.
        length: Time steps in a context window.
        horizon: Time steps after which an episode that is played is over at the latest.
        environment: Gymnasium id in which a policy for these data can be rolled out, "" where
            there is none.
        mean: Mean of each component of the observations, flat, or one of all; stems subtract it.
        std: Standard deviation of each component of the observations, flat, or one of all,
            positive; stems divide by it.
        return_scale: Size of a typical return; stems divide returns-to-go by it.
        random_return: Mean return of a policy that acts at random (`nan` if unknown).
        data_return: Mean return of the episodes (`nan` if unknown).
        order: The environment's numbers of the actions, in the order of the data; empty where both
            are the same.
        longest: Longest episode of the data in time steps; stems clamp later times to its last. 0
            if unknown; `horizon` is used then.
        target_returns: Returns to ask a policy for where nothing else is asked; empty if unknown.
    """

    support: Tokens | Interval | Bins
    observation: tuple[int, ...]
    length: int
    horizon: int
    environment: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    return_scale: float = 1.0
    random_return: float = float("nan")
    data_return: float = float("nan")
    order: tuple[int, ...] = ()
    longest: int = 0
    target_returns: tuple[float, ...] = ()


class TrajectoryBatch(NamedTuple):
    """Windows of episodes, padded on the left: at each time step the action is predicted."""

    observation: Tensor  # [B, T, *observation] float32, or uint8 as pixels are, raw
    action: Tensor  # [B, T, *support.shape], what was done, read for later steps
    return_to_go: Tensor  # [B, T] float32, sum of rewards from each step to the end, raw
    time: Tensor  # [B, T] int64, step within the episode; 0 on padding
    mask: Tensor  # [B, T] bool, False on padding
    target: Tensor  # [B, T, *support.shape], the action taken at each step
    weight: Tensor  # [B, T] float32, 0 on padding


class KnownTrajectoryBatch(NamedTuple):
    """Windows whose actions were drawn from known distributions, which only metrics read.

    The other fields are those of `TrajectoryBatch`.
    """

    observation: Tensor
    action: Tensor
    return_to_go: Tensor
    time: Tensor
    mask: Tensor
    target: Tensor
    weight: Tensor
    chances: Tensor  # [B, T, *support.shape, K] float32, probabilities of choices or cells


class EpisodeBatch(NamedTuple):
    """Episodes to play: an episode is an example, sharded over ranks like any other."""

    seed: Tensor  # [B] int64, what the environment is reset with
    return_to_go: Tensor  # [B] float32, the return that the policy is asked for


@dataclass(frozen=True)
class Benchmark:
    """A set of series that forecasts are scored on, and how the seasonal naive forecast scores.

    Args:
        name: Name of the set, part of the names of its metrics.
        mase: Mean absolute scaled error of the seasonal naive forecast.
        wql: Weighted quantile loss of the seasonal naive forecast, a point at all levels.
    """

    name: str
    mase: float
    wql: float


@dataclass(frozen=True)
class Covariate:
    """A column beside the values of series.

    Args:
        name: Name of the column.
        kind: What is known of it: "known" in the future too, "past" only, "static" one value of
            each series.
        mean: Mean in training; stems subtract it.
        std: Standard deviation in training, positive; stems divide by it.
    """

    name: str
    kind: str
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class SeriesSpec:
    """Facts of a panel of time series.

    Args:
        support: Interval of the *scaled* values `(value - loc) / scale` that heads cover.
        context: Observed values in a window.
        horizon: Values to forecast.
        season: Period of the season in steps, 1 where there is none.
        benchmarks: The sets to test on, in the order of the test loaders; empty where there is
            one, whose metrics need no name.
        scaling: `class_path` and `init_args` of what computes `loc` and `scale` of a window; None
            if unknown.
        covariates: What comes beside the values; batches have them if there are any.
    """

    support: Interval
    context: int
    horizon: int
    season: int
    benchmarks: tuple[Benchmark, ...] = ()
    scaling: Mapping[str, Any] | None = field(default=None, hash=False)
    covariates: tuple[Covariate, ...] = ()


class SeriesBatch(NamedTuple):
    """Windows of series, whose missing or padded values are 0.

    Those of the past are not `observed`, those of the future have weight 0. Values are float32, or
    float64 where float32 would round the differences within a series away.
    """

    past: Tensor  # [B, C], in the series' own units
    observed: Tensor  # [B, C] bool
    loc: Tensor  # [B, 1], what to subtract to scale a value
    scale: Tensor  # [B, 1], what to divide by, positive
    error: Tensor  # [B, 1], mean absolute error of the seasonal naive forecast before
    target: Tensor  # [B, H], in the series' own units
    weight: Tensor  # [B, H] float32


class CovariateBatch(NamedTuple):
    """Windows of series with covariates; the other fields are those of `SeriesBatch`."""

    past: Tensor
    observed: Tensor
    loc: Tensor
    scale: Tensor
    error: Tensor
    target: Tensor
    weight: Tensor
    covariates: Tensor  # [B, C + H, F] float32, in their own units; NaN where unknown


@dataclass(frozen=True)
class DensitySpec:
    """Facts of a regression problem of which the whole conditional distribution is wanted.

    Args:
        support: Interval of the outcome.
        features: Number of input features.
    """

    support: Interval | Bins
    features: int


class DensityBatch(NamedTuple):
    """Feature vectors with one outcome each."""

    features: Tensor  # [B, F] float32
    target: Tensor  # [B, 1] float32
    weight: Tensor  # [B, 1] float32


@dataclass(frozen=True)
class SequenceSpec:
    """Facts of sequences whose every position has features and an outcome.

    Args:
        support: Interval of the outcomes.
        features: Number of features at a position.
        length: Positions of a sequence.
    """

    support: Interval | Bins
    features: int
    length: int


class SequenceBatch(NamedTuple):
    """Sequences of feature vectors: each position predicts an outcome of features up to it."""

    features: Tensor  # [B, T, F] float32
    target: Tensor  # [B, T] float32
    weight: Tensor  # [B, T] float32


@dataclass(frozen=True)
class PromptSpec:
    """Facts of prompts, texts that are each answered by one real number.

    Args:
        support: Interval of the number.
        size: Number of tokens of the vocabulary that the texts are written in.
        length: Tokens of the longest text.
    """

    support: Interval | Bins
    size: int
    length: int


class PromptBatch(NamedTuple):
    """Texts, padded on the left, so that the answer is predicted at the last position of all."""

    tokens: Tensor  # [B, S] int64; 0 on padding
    mask: Tensor  # [B, S] bool, False on padding
    target: Tensor  # [B, 1] float32, the number
    weight: Tensor  # [B, 1] float32


# Specs are hyper-parameters: a checkpoint with them must load with `weights_only=True`.
torch.serialization.add_safe_globals(
    [
        Tokens,
        Interval,
        Bins,
        Benchmark,
        Covariate,
        TokenSpec,
        TrajectorySpec,
        SeriesSpec,
        DensitySpec,
        SequenceSpec,
        PromptSpec,
    ]
)
