"""Edits of a read-out: rows moved along a direction, and what that does on several contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import DIRECTIONS, Known, LogitShift
from framework.papers.token_encoding.editing.shifts import Shifted, averages
from framework.papers.token_encoding.editing.solving import solve
from framework.papers.token_encoding.probing.probe import probe
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.rewriting import Change
from framework.papers.token_encoding.statistics import Statistics


@dataclass(frozen=True, eq=False)
class EditRequest:
    """Tokens, and by what their averaged probabilities are to be multiplied.

    Args:
        tokens: Their ids, `[W]`, each once.
        scale: The factors, `[W]` float64, positive.
        names: What to call the tokens.

    Raises:
        ValueError: If there is none, a token comes twice, or a factor is not positive, or is 1.
    """

    tokens: Tensor
    scale: Tensor
    names: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.tokens):
            raise ValueError("An edit needs a token; name one with --tokens or --ids.")
        for name, scale in zip(self.names, self.scale.tolist(), strict=True):
            if not 0 < scale < float("inf"):
                raise ValueError(
                    f"The scale {scale:g} of {name} is not positive and finite; use 0.5 to halve "
                    "a probability, 2 to double it."
                )
            if scale == 1:
                raise ValueError(
                    f"The scale 1 of {name} would change nothing; give another, or leave it out."
                )
        ids = self.tokens.tolist()
        for token, name in zip(ids, self.names, strict=True):
            if ids.count(token) > 1:
                raise ValueError(f"The token {token} ({name}) is named twice; give it one scale.")


class Rule(NamedTuple):
    """A direction, and how far each of W rows goes along it."""

    name: str
    calibrated: bool
    push: LogitShift
    amount: Tensor  # [W], in nats

    def __str__(self) -> str:
        """Names the rule."""
        return named(self.name, self.calibrated)

    def shift(self, hidden: Tensor) -> Tensor:
        """Returns by how much logits rise where `[N, D]` is read, `[N, W]`."""
        return self.push.profile(hidden)[:, None] * self.amount

    def change(self, own: Readout, wish: EditRequest, untie: bool) -> Change:
        """Returns the read-out as it is to be written.

        Args:
            own: As it is.
            wish: Whose rows change.
            untie: Whether it may become a matrix of its own.
        """
        if not self.push.bias:
            weight = own.weight.clone()
            moved = weight[wish.tokens].double() + self.amount[:, None] * self.push.row
            weight[wish.tokens] = moved.float()
            return Change(weight=weight, untie=untie)
        none = torch.zeros(len(own.weight))
        bias = none if own.bias is None else own.bias.clone()
        bias[wish.tokens] += (self.amount * self.push.bias).float()
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

    def error(self, wish: EditRequest) -> float:
        """Returns the mean over tokens of how far the log of the scale is from what was asked."""
        return float((self.scale / wish.scale).log().abs().mean())


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
    known: Known, own: Readout, contexts: Contexts, wish: EditRequest
) -> tuple[list[Rule], dict[str, str]]:
    """Makes all rules that apply: each direction as it is, and calibrated on contexts.

    Args:
        known: What directions are made of.
        own: The read-out.
        contexts: To calibrate on.
        wish: What is asked.

    Returns:
        The rules, and why others do not apply, by direction; by "NAME, calibrated" where a
        direction applies and cannot be calibrated.

    Raises:
        ValueError: If what is asked adds up to a probability of 1 or more.
    """
    log_probs = contexts.log_probs(own, wish.tokens)
    _check_mass(log_probs, wish)
    asked = wish.scale.log()
    pushes, refused = applicable(known)
    found = []
    for name, push in pushes.items():
        found.append(Rule(name, False, push, asked))
        solution = solve(log_probs, push.profile(contexts.hidden), asked)
        if solution.reaches(asked).all():
            found.append(Rule(name, True, push, solution.amount))
        else:
            largest = _listed(wish, solution.log_scale.exp())
            refused[named(name, True)] = (
                f"{name} cannot scale as asked in these contexts, for its shift saturates or has "
                f"both signs there; the largest scales that it reaches are {largest}."
            )
    return found, refused


def applicable(known: Known) -> tuple[dict[str, LogitShift], dict[str, str]]:
    """Makes all directions that there are for a model.

    Args:
        known: What directions are made of.

    Returns:
        What each changes per nat, and why others do not apply, by name.
    """
    pushes, refused = {}, {}
    for name, direction in DIRECTIONS.items():
        try:
            pushes[name] = direction(known)
        except ValueError as error:
            refused[name] = str(error)
    return pushes, refused


def named(direction: str, calibrated: bool) -> str:
    """Names a rule.

    Example:
        >>> named("whiten", True)
        'whiten, calibrated'
    """
    return f"{direction}, calibrated" if calibrated else direction


def measure(
    own: Readout, contexts: Contexts, wish: EditRequest, chosen: Sequence[Rule]
) -> list[Effect]:
    """Computes what edits do on contexts, exactly.

    Args:
        own: The read-out before.
        contexts: Of it; other ones than those that rules were made with, to see what holds there.
        wish: What was asked.
        chosen: The edits, each on its own.
    """
    log_probs = contexts.log_probs(own, wish.tokens)
    came = contexts.target[:, None] == wish.tokens
    shifted = [Shifted(log_probs, rule.shift(contexts.hidden)) for rule in chosen]
    nothing = torch.zeros(len(contexts), dtype=torch.float64)
    factors = torch.stack([nothing, *(edit.log_others for edit in shifted)], 1)
    alphas = averages(own, contexts, factors)  # [V, 1 + R]
    changes = (alphas[:, 1:] / alphas[:, :1]).nan_to_num(1.0)
    changes[wish.tokens] = 1.0
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


def _check_mass(log_probs: Tensor, wish: EditRequest) -> None:
    asked = log_probs.exp().mean(0) * wish.scale
    if asked.sum() >= 1:
        largest = _listed(wish, wish.scale / asked.sum())
        raise ValueError(
            f"The scales ask for averaged probabilities of {float(asked.sum()):.3g} in all, and "
            f"there is only 1; scales must stay below {largest}."
        )


def _listed(wish: EditRequest, scale: Tensor) -> str:
    pairs: Mapping[str, float] = dict(zip(wish.names, scale.tolist(), strict=True))
    return ", ".join(f"{value:.4g} of {name}" for name, value in pairs.items())
