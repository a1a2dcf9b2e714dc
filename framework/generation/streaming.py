"""Decodes tokens as they arrive, without ever showing a part of a character."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

Decode = Callable[[Sequence[int]], str]
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"  # what decoders write for bytes that are no character yet


class TextStream:
    """Turns tokens into text one by one.

    What a token adds is shown once no later token can change it: the end of a text that may be
    part of a character waits for the rest of it. All pieces together are the text of all tokens.

    Args:
        decode: Converts token ids to text.
        given: Tokens before the first one, which are not shown; some decoders treat the beginning
            of a text in a special way.
        runs: Tokens of which a row is decoded as a whole, and those left out that do not end it.
            Rows of single bytes beside words are of this kind: a byte that is no text makes all of
            its row U+FFFD. They wait for the end of the row.

    Example:
        >>> stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
        >>> [stream.add(byte) for byte in "aé".encode()]
        ['a', '', 'é']
    """

    def __init__(
        self, decode: Decode, given: Sequence[int] = (), runs: Collection[int] = frozenset()
    ) -> None:
        self._decode, self._given, self._runs = decode, given, runs
        self._tokens: list[int] = []
        self._shown = 0

    def add(self, token: int) -> str:
        """Adds a token; returns the text that it completes."""
        self._tokens.append(token)
        if token in self._runs:
            return ""
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
