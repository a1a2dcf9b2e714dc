"""Edits of a read-out: rows moved along a direction, and what that does on several contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import (
    DIRECTIONS,
    DirectionName,
    Known,
    LogitShift,
)
from framework.papers.token_encoding.editing.request import EditRequest
from framework.papers.token_encoding.editing.shifts import Shifted, averages
from framework.papers.token_encoding.editing.solving import solve
from framework.papers.token_encoding.probing.probe import probe
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.rewriting import Change
from framework.papers.token_encoding.statistics import Statistics


class Rule(NamedTuple):
    """A direction, and how far each of W rows goes along it."""

    name: str
    calibrated: bool
    per_nat: LogitShift
    amount: Tensor  # [W], in nats

    def __str__(self) -> str:
        """Names the rule."""
        return named(self.name, self.calibrated)

    def shift(self, hidden: Tensor) -> Tensor:
        """Returns by how much logits rise where `[N, D]` is read, `[N, W]`."""
        return self.per_nat.profile(hidden)[:, None] * self.amount

    def change(self, own: Readout, request: EditRequest, untie: bool) -> Change:
        """Returns the read-out as it is to be written.

        Args:
            own: As it is.
            request: Whose rows change.
            untie: Whether it may become a matrix of its own.
        """
        if not self.per_nat.bias:
            weight = own.weight.clone()
            moved = weight[request.tokens].double() + self.amount[:, None] * self.per_nat.row
            weight[request.tokens] = moved.float()
            return Change(weight=weight, untie=untie)
        none = torch.zeros(len(own.weight))
        bias = none if own.bias is None else own.bias.clone()
        bias[request.tokens] += (self.amount * self.per_nat.bias).float()
        return Change(bias=bias, untie=untie)


class Effect(NamedTuple):
    """What an edit does on some contexts; divergences and losses in nats per context."""

    scale: Tensor  # [W], of the averaged probabilities of the tokens
    kl: float  # KL(P‖P'), of the distribution P before and the distribution P' after
    js: float  # Jensen-Shannon divergence
    nll: float  # by how much less likely the tokens that came are
    others: float  # mean factor of the probability of any other token
    largest: float  # the largest factor of an averaged probability, as a ratio of at least 1
    token: int  # whose that is

    def error(self, request: EditRequest) -> float:
        """Returns the mean over tokens of how far the log of the scale is from what was asked."""
        return float((self.scale / request.scale).log().abs().mean())


def know(
    own: Readout,
    statistics: Statistics,
    dtype: torch.dtype,
    size: int | None = None,
) -> Known:
    """Collects what directions are made of.

    Args:
        own: The read-out.
        statistics: What that says over contexts.
        dtype: In which the rows are stored.
        size: Of the vocabulary without the tokens that fill it up; None for all.
    """

    @cache
    def slope() -> Tensor:
        return probe(own, statistics, known=size).regression.slope

    return Known(statistics.mean, statistics.covariance, slope, statistics.positions, dtype)


def rules(
    known: Known, own: Readout, contexts: Contexts, request: EditRequest
) -> tuple[list[Rule], dict[str, str]]:
    """Makes all rules that apply: each direction as it is, and calibrated on contexts.

    Args:
        known: What directions are made of.
        own: The read-out.
        contexts: To calibrate on.
        request: What is asked.

    Returns:
        The rules, and why others do not apply, by direction; by "NAME, calibrated" where a
        direction applies and cannot be calibrated.

    Raises:
        ValueError: If what is asked adds up to a probability of 1 or more.
    """
    log_probs = contexts.log_probs(own, request.tokens)
    _check_mass(log_probs, request)
    asked = request.scale.log()
    directions, refused = applicable(known)
    found = []
    for name, per_nat in directions.items():
        found.append(Rule(name, False, per_nat, asked))
        solution = solve(log_probs, per_nat.profile(contexts.hidden), asked)
        if solution.reaches(asked).all():
            found.append(Rule(name, True, per_nat, solution.amount))
        else:
            largest = _listed(request, solution.log_scale.exp())
            refused[named(name, True)] = (
                f"{name} cannot scale as asked in these contexts, for its shift saturates or has "
                f"both signs there; the largest scales that it reaches are {largest}."
            )
    return found, refused


def applicable(
    known: Known,
) -> tuple[dict[DirectionName, LogitShift], dict[str, str]]:
    """Makes all directions that there are for a model.

    Args:
        known: What directions are made of.

    Returns:
        What each changes per nat, and why others do not apply, by name.
    """
    directions: dict[DirectionName, LogitShift] = {}
    refused: dict[str, str] = {}
    for name, direction in DIRECTIONS.items():
        try:
            directions[name] = direction(known)
        except ValueError as error:
            refused[name] = str(error)
    return directions, refused


def named(direction: str, calibrated: bool) -> str:
    """Names a rule.

    Example:
        >>> named("whiten", True)
        'whiten, calibrated'
    """
    return f"{direction}, calibrated" if calibrated else direction


def measure(
    own: Readout, contexts: Contexts, request: EditRequest, chosen: Sequence[Rule]
) -> list[Effect]:
    """Computes what edits do on contexts, exactly.

    Args:
        own: The read-out before.
        contexts: Of it; other ones than those that rules were made with, to see what holds there.
        request: What was asked.
        chosen: The edits, each on its own.
    """
    log_probs = contexts.log_probs(own, request.tokens)
    came = contexts.target[:, None] == request.tokens
    shifted = [Shifted(log_probs, rule.shift(contexts.hidden)) for rule in chosen]
    nothing = torch.zeros(len(contexts), dtype=torch.float64)
    factors = torch.stack([nothing, *(edit.log_others for edit in shifted)], 1)
    alphas = averages(own, contexts, factors)  # [V, 1 + R]
    changes = (alphas[:, 1:] / alphas[:, :1]).nan_to_num(1.0)
    changes[request.tokens] = 1.0
    return [
        Effect(
            edit.log_scale().exp(),
            float(edit.kl()),
            float(edit.js()),
            float(edit.nll(came)),
            float(edit.log_others.exp().mean()),
            *_largest(change),
        )
        for edit, change in zip(shifted, changes.T, strict=True)
    ]


def _largest(change: Tensor) -> tuple[float, int]:
    """Returns the factor that is farthest from 1, and whose it is."""
    token = int(change.log().abs().argmax())
    return float(change[token]), token


def _check_mass(log_probs: Tensor, request: EditRequest) -> None:
    asked = log_probs.exp().mean(0) * request.scale
    if asked.sum() >= 1:
        largest = _listed(request, request.scale / asked.sum())
        raise ValueError(
            f"The scales ask for averaged probabilities of {float(asked.sum()):.3g} in all, and "
            f"there is only 1; scales must stay below {largest}."
        )


def _listed(request: EditRequest, scale: Tensor) -> str:
    pairs: Mapping[str, float] = dict(zip(request.names, scale.tolist(), strict=True))
    return ", ".join(f"{value:.4g} of {name}" for name, value in pairs.items())
