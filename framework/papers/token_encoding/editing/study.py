"""A study of edits: many tokens, each by many factors, along every direction, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import DirectionName, LogitShift
from framework.papers.token_encoding.editing.shifts import Shifted, solve_each
from framework.papers.token_encoding.readout import Readout

SCALES = (1 / 20, 1 / 10, 1 / 2, 2.0, 10.0, 20.0, 50.0)
STRATA = (0.0, 0.005, 0.025, 0.1, 0.3, 0.6, 1.0)
"""Shares of the vocabulary, from the most probable token on, that divide it into strata."""
EACH = 10  # tokens of a stratum
CLOSE = 0.1  # a scale that is off by no more counts as close


@dataclass(frozen=True, eq=False)
class Trial:
    """Edits of many tokens, each alone, by the same factor along the same direction.

    Args:
        direction: Its name.
        calibrated: Whether shifts were solved for on the contexts of the fit.
        split: Where it was measured.
        scale: What was requested.
        log_scale: What came of it, `[W]`; without tokens that cannot be scaled so.
        left_out: How many tokens these are.
        kl: KL(P‖P') of an edit, in nats per context, on average.
        js: Their Jensen-Shannon divergence.
        nll: Increase of the mean loss of the observed tokens, in nats.
    """

    direction: str
    calibrated: bool
    split: str
    scale: float
    log_scale: Tensor
    left_out: int
    kl: float
    js: float
    nll: float

    @property
    def requested(self) -> Tensor:
        """The log of what was requested, for each token, `[W]`."""
        return torch.full_like(self.log_scale, self.scale).log()

    @property
    def median(self) -> float:
        """The median scale."""
        return float(self.log_scale.exp().quantile(0.5)) if len(self.log_scale) else math.nan

    @property
    def error(self) -> float:
        """The mean distance of the logs of actual and requested scales."""
        return float((self.log_scale - self.requested).abs().mean())

    @property
    def close(self) -> float:
        """The share of tokens whose scale is off by 10 % at most."""
        ratio = (self.log_scale - self.requested).exp()
        return float(((ratio - 1).abs() <= CLOSE).double().mean())


def strata(alpha: Tensor, each: int = EACH) -> Tensor:
    """Chooses tokens from all over a vocabulary: as many from each stratum, evenly.

    Args:
        alpha: Averaged probabilities, `[V]`.
        each: How many from a stratum, at most.

    Returns:
        Ids `[W]`, the most probable token first.
    """
    order = alpha.argsort(descending=True)
    edges = [round(share * len(alpha)) for share in STRATA]
    chosen = [
        torch.linspace(low, high - 1, min(each, high - low)).round().long()
        for low, high in pairwise(edges)
    ]
    return order[torch.cat(chosen)]


def try_edits(
    own: Readout,
    directions: Mapping[DirectionName, LogitShift],
    tokens: Tensor,
    splits: Mapping[str, Contexts],
) -> Iterator[Trial]:
    """Edits tokens one by one, uncalibrated and calibrated, and measures the effects.

    Args:
        own: The read-out.
        directions: Directions by name.
        tokens: Ids, `[W]`.
        splits: Contexts by name; the first ones are those of the fit, on which is calibrated.
    """
    log_probs = {name: contexts.log_probs(own, tokens).T for name, contexts in splits.items()}
    came = {name: tokens[:, None] == contexts.target for name, contexts in splits.items()}
    fit = next(iter(splits))
    for direction, per_nat in directions.items():
        profiles = {name: per_nat.profile(contexts.hidden) for name, contexts in splits.items()}
        for scale in SCALES:
            requested = torch.full((len(tokens),), scale, dtype=torch.float64).log()
            found = solve_each(log_probs[fit], profiles[fit], requested)
            for calibrated, amount, kept in (
                (False, requested, torch.ones_like(requested, dtype=torch.bool)),
                (True, found.amount, found.reaches(requested)),
            ):
                for split, profile in profiles.items():
                    shifted = Shifted(
                        log_probs[split][kept, :, None],
                        (amount[kept, None] * profile)[..., None],
                    )
                    yield Trial(
                        direction,
                        calibrated,
                        split,
                        scale,
                        shifted.log_scale()[:, 0],
                        int((~kept).sum()),
                        float(shifted.kl().mean()),
                        float(shifted.js().mean()),
                        float(shifted.nll(came[split][kept, :, None]).mean()),
                    )


@dataclass(frozen=True)
class Agreement:
    """Agreement of actual and requested scales over all trials of a rule, in logs."""

    slope: float
    pearson: float
    spearman: float
    error: float
    close: float


def agreement(trials: Iterable[Trial]) -> Agreement:
    """Compares logs of scales over trials that differ in what was requested."""
    group = list(trials)
    requested = torch.cat([trial.requested for trial in group])
    actual = torch.cat([trial.log_scale for trial in group])
    near = ((actual - requested).exp() - 1).abs() <= CLOSE
    centered = requested - requested.mean()
    return Agreement(
        slope=float(centered @ actual / centered.square().sum()),
        pearson=_correlation(requested, actual),
        spearman=_correlation(_ranks(requested), _ranks(actual)),
        error=float((actual - requested).abs().mean()),
        close=float(near.double().mean()),
    )


def by_rule(trials: Iterable[Trial]) -> dict[tuple[str, bool, str], list[Trial]]:
    """Groups trials by direction, whether they are calibrated, and split."""
    found: dict[tuple[str, bool, str], list[Trial]] = {}
    for trial in trials:
        found.setdefault((trial.direction, trial.calibrated, trial.split), []).append(trial)
    return found


def _correlation(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((x, y)))[0, 1]) if len(x) > 1 else math.nan


def _ranks(values: Tensor) -> Tensor:
    """Returns ranks; equal values share the mean of theirs."""
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    middle: Tensor = count.cumsum(0) - (count - 1) / 2
    return middle[place].double()
