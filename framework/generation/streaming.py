"""Decodes tokens as they arrive, without ever showing a part of a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"  # what decoders write for bytes that are no character yet


class TextStream:
    """Turns tokens into text one by one.

    What a token adds is shown once no later token can change it: the end of a text that may be
    part of a character waits for the rest of it.

    Args:
        decode: Converts token ids to text.
        given: Tokens before the first one, which are not shown; some decoders treat the beginning
            of a text in a special way.

    Example:
        >>> stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
        >>> [stream.add(byte) for byte in "aé".encode()]
        ['a', '', 'é']
    """

    def __init__(self, decode: Decode, given: Sequence[int] = ()) -> None:
        self._decode, self._given = decode, given
        self._tokens: list[int] = []
        self._shown = 0

    def add(self, token: int) -> str:
        """Adds a token; returns the text that it completes."""
        self._tokens.append(token)
        return self._next(self._text().rstrip(INCOMPLETE))

    def finish(self) -> str:
        """Returns what is left of the text at its end."""
        return self._next(self._text())

    def _next(self, text: str) -> str:
        new, self._shown = text[self._shown :], max(self._shown, len(text))
        return new

    def _text(self) -> str:
        return text_after(self._decode, self._given, self._tokens)


def text_after(decode: Decode, given: Sequence[int], tokens: Sequence[int]) -> str:
    """Decodes tokens that follow others, as the end of the text of both.

    Args:
        decode: Converts token ids to text.
        given: Tokens before.
        tokens: Tokens to decode.
    """
    before, whole = decode(given), decode([*given, *tokens])
    return whole[len(before) :] if whole.startswith(before) else decode(tokens)
