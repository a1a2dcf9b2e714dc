"""Equations: a rule that maps a pair of numbers to an answer, and their encoding as tokens."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from components.data import TokenBatch


class Equation(ABC):
    """A rule that maps a pair of numbers to an answer, and the encoding of all three as tokens.

    Both numbers run from 0 to `size` - 1.
    """

    size: int

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """Number of different tokens."""

    @property
    @abstractmethod
    def formula(self) -> str:
        """The formula, for titles of figures."""

    @abstractmethod
    def written(self, first: Tensor, second: Tensor) -> TokenBatch:
        """Writes the equations of pairs `[N]`; only the tokens of the answer have weight."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Converts a text such as "17+20=" to tokens."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Converts tokens to text."""


class NumberTokens(Equation):
    """Equations in which every number is one token: `[a, b, =]`, then `c`.

    Token k is the number k; the last token is "=". The "+" between the numbers has no token and
    occurs in texts only.
    """

    @property
    @abstractmethod
    def largest(self) -> int:
        """The largest number, of the pairs and of the answers."""

    @abstractmethod
    def answer(self, first: Tensor, second: Tensor) -> Tensor:
        """Computes the answers of pairs `[N]`."""

    @property
    def vocabulary(self) -> int:
        """The numbers from 0 to the largest, and "="."""
        return self.largest + 2

    def written(self, first: Tensor, second: Tensor) -> TokenBatch:
        """Writes the equations of pairs `[N]` as three tokens to read, `[N, 3]`."""
        due = torch.full_like(first, self.largest + 1)
        row = torch.stack((first, second, due, self.answer(first, second)), 1)
        weight = torch.zeros(len(row), 3)
        weight[:, -1] = 1
        return TokenBatch(row[:, :-1].contiguous(), row[:, 1:].contiguous(), weight)

    def encode(self, text: str) -> list[int]:
        """Converts a text such as "17+20=" to tokens.

        Raises:
            ValueError: If it holds anything but numbers in the vocabulary, "+" and "=".
        """
        known = {str(number): number for number in range(self.largest + 1)}
        known["="] = self.largest + 1
        words = re.findall(r"\d+|[^\s+]", text)
        if not known.keys() >= set(words):
            raise ValueError(
                f"{type(self).__name__} cannot write {text!r}; use numbers from 0 to "
                f'{self.largest}, "+" between them and "=".'
            )
        return [known[word] for word in words]

    def decode(self, tokens: Sequence[int]) -> str:
        """Converts tokens to text, with "+" between adjacent numbers.

        Example:
            >>> ModularAddition(31).decode([17, 20, 31])
            '17+20='
        """
        sign = self.largest + 1
        text = "+".join("=" if token == sign else str(int(token)) for token in tokens)
        return re.sub(r"\+?=\+?", "=", text)


class ModularAddition(NumberTokens):
    """Modular addition: c = (a + b) mod m.

    Args:
        modulus: The modulus m, at least 2; a and b run from 0 to m - 1.

    Raises:
        ValueError: If `modulus` is below 2.

    Source: Hu et al., "Case-Based or Rule-Based: How Do Transformers Do the Math?"
        (arXiv:2402.17709), whose tasks Dong et al., "FANformer" (arXiv:2502.21309), use too.
    """

    def __init__(self, modulus: int = 113) -> None:
        if modulus < 2:
            raise ValueError(
                f"ModularAddition: modulus={modulus} leaves a single number; use at least 2."
            )
        self.size = modulus

    @property
    def largest(self) -> int:
        """The largest remainder."""
        return self.size - 1

    @property
    def formula(self) -> str:
        """The formula."""
        return f"c = (a + b) mod {self.size}"

    def answer(self, first: Tensor, second: Tensor) -> Tensor:
        """Computes the remainders."""
        return (first + second) % self.size


class LinearEquation(NumberTokens):
    """Linear equation in two numbers: c = u a + v b + w.

    Args:
        first: Factor u of the first number, at least 0.
        second: Factor v of the second number, at least 0.
        offset: The constant w, at least 0.
        size: How many numbers there are; a and b run from 0 to `size` - 1.

    Raises:
        ValueError: If an option is out of its range.

    Source: Hu et al., "Case-Based or Rule-Based: How Do Transformers Do the Math?"
        (arXiv:2402.17709), whose tasks Dong et al., "FANformer" (arXiv:2502.21309), use too.
    """

    def __init__(self, first: int = 1, second: int = 2, offset: int = 3, size: int = 100) -> None:
        if min(first, second, offset) < 0 or size < 2:
            raise ValueError(
                f"LinearEquation: first={first}, second={second}, offset={offset}, size={size} "
                "give negative numbers or no pairs; use at least 0, and a size of at least 2."
            )
        self.factors, self.offset, self.size = (first, second), offset, size

    @property
    def largest(self) -> int:
        """The largest number or answer."""
        return max(self.size - 1, sum(self.factors) * (self.size - 1) + self.offset)

    @property
    def formula(self) -> str:
        """The formula."""
        first, second = ("" if factor == 1 else f"{factor} " for factor in self.factors)
        return f"c = {first}a + {second}b + {self.offset}"

    def answer(self, first: Tensor, second: Tensor) -> Tensor:
        """Computes the weighted sums."""
        return self.factors[0] * first + self.factors[1] * second + self.offset
