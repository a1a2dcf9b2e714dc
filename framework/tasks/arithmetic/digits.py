"""Multiplication, digit by digit: each is a token, factors and product have fixed widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from components.data import TokenBatch
from framework.tasks.arithmetic.sources import Equation

SIGNS = {"*": 10, "=": 11}  # tokens; those below are the digits
MOST_DIGITS = 9  # of a factor: products of longer ones do not fit into int64


class Multiplication(Equation):
    """Multiplication of two numbers, written digit by digit.

    73 · 45 = 3285 is `3 7 0 0 * 5 4 0 0 = 5 8 2 3 0 0 0 0` with the least significant digits
    first, in which order products are computed from left to right. Factors and product are padded
    with zeros to fixed widths. Extra padding gives a model positions to compute at before the
    answer.

    Args:
        digits: Digits of the longest factors, from 1 to 9.
        order: Whether numbers begin with their least or their most significant digit.
        padding: Digits that factors are padded to, `digits` if not given.
        product: Digits that the product is padded to, twice `digits` if not given.

    Raises:
        ValueError: If numbers have more digits than the padding holds.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859v2), appendix D.3; there digits are tokens of GPT-2.

    Example:
        >>> task = Multiplication(digits=4)
        >>> batch = task.written(torch.tensor([73]), torch.tensor([45]))
        >>> batch.tokens[0].tolist()
        [3, 7, 0, 0, 10, 5, 4, 0, 0, 11, 5, 8, 2, 3, 0, 0, 0]
    """

    def __init__(
        self,
        digits: int = 3,
        order: Literal["least", "most"] = "least",
        padding: int | None = None,
        product: int | None = None,
    ) -> None:
        if not 1 <= digits <= MOST_DIGITS:
            raise ValueError(
                f"Multiplication: digits={digits} is not the length of a factor; use 1 to "
                f"{MOST_DIGITS}."
            )
        self.padding = digits if padding is None else padding
        self.product = 2 * digits if product is None else product
        if self.padding < digits or self.product < 2 * digits:
            raise ValueError(
                f"Multiplication: factors of digits={digits} and their products do not fit into "
                f"padding={self.padding} and product={self.product}; use at least {digits} and "
                f"{2 * digits}."
            )
        self.digits, self.order, self.size = digits, order, 10**digits

    @property
    def vocabulary(self) -> int:
        """Ten digits, "*" and "="."""
        return 12

    @property
    def formula(self) -> str:
        """The formula."""
        return "c = a · b"

    def written(self, first: Tensor, second: Tensor) -> TokenBatch:
        """Writes the equations of pairs `[N]`; only the digits of the product have weight."""
        times, due = (torch.full((len(first), 1), sign) for sign in SIGNS.values())
        factors = [self._digits(number, self.padding) for number in (first, second)]
        product = self._digits(first * second, self.product)
        row = torch.cat((factors[0], times, factors[1], due, product), 1)
        weight = torch.zeros(len(row), row.shape[1] - 1)
        weight[:, -self.product :] = 1
        return TokenBatch(row[:, :-1].contiguous(), row[:, 1:].contiguous(), weight)

    def encode(self, text: str) -> list[int]:
        """Converts a text such as "73*45=" or "73*45=3285" to tokens, numbers padded.

        Raises:
            ValueError: If it holds anything else, or a number that is too long.
        """
        tokens: list[int] = []
        for word in re.findall(r"[0-9]+|\S", text):
            if word in SIGNS:
                tokens.append(SIGNS[word])
                continue
            width = self.product if SIGNS["="] in tokens else self.padding
            digits = word.lstrip("0").zfill(width)
            if not digits.isdecimal() or len(digits) > width:
                raise ValueError(
                    f'Multiplication cannot write {text!r}; give a text such as "73*45=", with '
                    f"factors of {self.padding} digits at most and a product of {self.product}."
                )
            tokens += map(int, digits[:: self._step])
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Converts tokens to text, digits between signs to numbers without padding.

        Example:
            >>> Multiplication(digits=4).decode([3, 7, 0, 0, 10, 5, 4, 0, 0, 11])
            '73*45='
        """
        signs = {token: sign for sign, token in SIGNS.items()}
        text = "".join(signs.get(token, str(token)) for token in map(int, tokens))
        return re.sub("[0-9]+", lambda found: str(int(found[0][:: self._step])), text)

    @property
    def _step(self) -> int:
        """Step through the digits that begins with the most significant one."""
        return -1 if self.order == "least" else 1

    def _digits(self, number: Tensor, width: int) -> Tensor:
        """Returns the digits `[N, width]` of numbers `[N]`, padded with zeros."""
        digits = []
        for _ in range(width):
            digits.append(number % 10)
            number = number // 10
        return torch.stack(digits[:: -self._step], 1)
