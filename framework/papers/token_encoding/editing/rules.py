"""Edits of a read-out: which tokens by which factors, and rules that move their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from components.supports import Tokens
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.data.protocols import ReadsText
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import Known, LogitShift, applicable
from framework.papers.token_encoding.editing.shifts import solve
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.rewriting import Change


@dataclass(frozen=True, eq=False)
class EditRequest:
    """Tokens, and factors by which their averaged probabilities are to be multiplied.

    Args:
        tokens: Their ids, `[W]`, each once.
        scale: The factors, `[W]` float64, positive.
        names: Names of the tokens, for messages.

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


def parse_request(
    tokens: Mapping[str, float], ids: Mapping[int, float], data: PredictiveData
) -> EditRequest | None:
    """Parses requested tokens and scale factors; None if no token is named.

    Args:
        tokens: Scale factors by text.
        ids: Scale factors by id.
        data: Data that know the vocabulary.

    Raises:
        UserError: If data are not of tokens, or there is no such token.
        ValueError: If a scale is not positive or 1, or a token is named twice.
    """
    support = data.spec.support
    if not isinstance(support, Tokens):
        raise UserError(
            f"{type(data).__name__} holds {support}, and an edit changes probabilities of "
            "tokens; choose a model of tokens."
        )
    pairs = [(_id_of(text, data), scale) for text, scale in tokens.items()]
    pairs += ids.items()
    for token, _ in pairs:
        if not 0 <= token < support.size:
            raise UserError(f"There is no token {token}; --ids are from 0 to {support.size - 1}.")
    if not pairs:
        return None
    numbers, scale = zip(*pairs, strict=True)
    names = [token_name(data, token) for token in numbers]
    return EditRequest(torch.tensor(numbers), torch.tensor(scale, dtype=torch.float64), names)


def token_name(data: PredictiveData, token: int) -> str:
    """Returns the text of a token in quotes, or its id if the data hold no text."""
    return repr(data.decode([token])) if isinstance(data, ReadsText) else f"token {token}"


def _id_of(text: str, data: PredictiveData) -> int:
    """Returns the id of the token that has a text."""
    if not isinstance(data, ReadsText):
        raise UserError(f"{type(data).__name__} reads no text; name tokens by --ids.")
    ids = data.encode(text)
    if len(ids) > 1:
        pieces = ", ".join(f"{data.decode([piece])!r} is {piece}" for piece in ids)
        raise UserError(f"{text!r} is not one token but {len(ids)}: {pieces}; name one by --ids.")
    if not ids or data.decode(ids) != text:
        raise UserError(f"The vocabulary has no token {text!r}; name another, or one by --ids.")
    return ids[0]


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


def rules(
    known: Known, own: Readout, contexts: Contexts, request: EditRequest
) -> tuple[list[Rule], dict[str, str]]:
    """Makes all rules that apply: each direction as it is, and calibrated on contexts.

    Args:
        known: What directions are computed from.
        own: The read-out.
        contexts: To calibrate on.
        request: What is requested.

    Returns:
        The rules, and why others do not apply, by direction; by "NAME, calibrated" where a
        direction applies and cannot be calibrated.

    Raises:
        ValueError: If what is requested adds up to a probability of 1 or more.
    """
    log_probs = contexts.log_probs(own, request.tokens)
    _check_mass(log_probs, request)
    requested = request.scale.log()
    directions, refused = applicable(known)
    found = []
    for name, per_nat in directions.items():
        found.append(Rule(name, False, per_nat, requested))
        solution = solve(log_probs, per_nat.profile(contexts.hidden), requested)
        if solution.reaches(requested).all():
            found.append(Rule(name, True, per_nat, solution.amount))
        else:
            largest = _listed(request, solution.log_scale.exp())
            refused[named(name, True)] = (
                f"{name} cannot scale as requested in these contexts, as its shift saturates or "
                f"changes sign there; the largest scales that it reaches are {largest}."
            )
    return found, refused


def named(direction: str, calibrated: bool) -> str:
    """Names a rule.

    Example:
        >>> named("whiten", True)
        'whiten, calibrated'
    """
    return f"{direction}, calibrated" if calibrated else direction


def _check_mass(log_probs: Tensor, request: EditRequest) -> None:
    requested = log_probs.exp().mean(0) * request.scale
    if requested.sum() >= 1:
        largest = _listed(request, request.scale / requested.sum())
        raise ValueError(
            f"The scales request averaged probabilities of {float(requested.sum()):.3g} in all, "
            f"and there is only 1; scales must stay below {largest}."
        )


def _listed(request: EditRequest, scale: Tensor) -> str:
    pairs: Mapping[str, float] = dict(zip(request.names, scale.tolist(), strict=True))
    return ", ".join(f"{value:.4g} of {name}" for name, value in pairs.items())
