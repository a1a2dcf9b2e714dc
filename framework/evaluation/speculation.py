"""Guesses how a text goes on, for a model to verify several tokens in one pass."""

from __future__ import annotations

from torch import Tensor

LONGEST, SHORTEST = 3, 2  # tokens that have to occur again
MOST = 16  # tokens of a guess


class Lookup:
    """Guesses that what followed the last tokens before will follow them again.

    A guess is as long as the text is repetitive: twice as many tokens as were right last time,
    and 2 more.

    Source: Saxena, "Prompt Lookup Decoding" (2023); verification: Leviathan et al., "Fast
    Inference from Transformers via Speculative Decoding" (arXiv:2211.17192), without chance.
    """

    def __init__(self) -> None:
        self._size = 2

    def guess(self, tokens: list[int], most: int) -> list[int]:
        """Returns the next tokens, at most so many; none if the last ones did not occur before.

        Args:
            tokens: All so far.
            most: How many tokens are of use.
        """
        size = min(self._size, most)
        if size < 1:
            return []
        for length in range(LONGEST, SHORTEST - 1, -1):
            last = tokens[-length:]
            for begin in range(len(tokens) - length - 1, -1, -1):
                if tokens[begin : begin + length] == last:
                    return tokens[begin + length : begin + length + size]
        return []

    def learn(self, guess: Tensor, chosen: Tensor) -> int:
        """Compares a guess `[1, G]` with what was chosen `[1, G + 1]`; counts what was wrong."""
        if not (size := guess.shape[1]):
            return 0
        agreed = int((chosen[:, :size] == guess).cumprod(1).sum())
        self._size = min(MOST, 2 * agreed + 2)
        return size - agreed
