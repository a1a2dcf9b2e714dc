"""EditRequest: tokens and scale factors, as a user names them by text or by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.supports import Tokens
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.data.protocols import ReadsText


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
