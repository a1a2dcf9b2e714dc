"""Tokens as a user names them, by text or by id, and what is to become of each."""

from __future__ import annotations

from typing import Any

import torch

from components.supports import Tokens
from framework.console.errors import UserError
from framework.data.protocols import ReadsText
from framework.papers.token_encoding.editing.rules import EditRequest


def wished(given: Any) -> EditRequest | None:
    """Returns tokens and scales; None if no token is named.

    Args:
        given: Parsed options: `tokens` are scales by text, `ids` are scales by number, `data` know
            the vocabulary.

    Raises:
        UserError: If data are not of tokens, or there is no such token.
        ValueError: If a scale is none, or a token is named twice.
    """
    support = given.data.spec.support
    if not isinstance(support, Tokens):
        raise UserError(
            f"{type(given.data).__name__} holds {support}, and an edit changes probabilities of "
            "tokens; choose a model of tokens."
        )
    pairs = [(_token(text, given.data), scale) for text, scale in (given.tokens or {}).items()]
    pairs += (given.ids or {}).items()
    for token, _ in pairs:
        if not 0 <= token < support.size:
            raise UserError(f"There is no token {token}; --ids are from 0 to {support.size - 1}.")
    if not pairs:
        return None
    tokens, scale = zip(*pairs, strict=True)
    names = [name(given.data, token) for token in tokens]
    return EditRequest(torch.tensor(tokens), torch.tensor(scale, dtype=torch.float64), names)


def name(data: Any, token: int) -> str:
    """Names a token by its text, in quotes, if the data know it."""
    return repr(data.decode([token])) if isinstance(data, ReadsText) else f"token {token}"


def _token(text: str, data: Any) -> int:
    """Returns the id of the token that a text is."""
    if not isinstance(data, ReadsText):
        raise UserError(f"{type(data).__name__} reads no text; name tokens by --ids.")
    ids = data.encode(text)
    if len(ids) > 1:
        pieces = ", ".join(f"{data.decode([piece])!r} is {piece}" for piece in ids)
        raise UserError(f"{text!r} is not one token but {len(ids)}: {pieces}; name one by --ids.")
    if not ids or data.decode(ids) != text:
        raise UserError(f"The vocabulary has no token {text!r}; name another, or one by --ids.")
    return ids[0]
