"""Prompts as data: each is answered by one number, as a real value or written as text."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import Distribution

from components.data import PromptBatch, PromptSpec, TokenBatch, TokenSpec
from components.supports import Tokens
from framework.data.cache import fingerprint
from framework.data.module import Dataset, InMemory
from framework.data.tokens.text import TextData
from framework.data.tokens.tokenizer import ByteTokenizer, Tokenizer
from framework.data.tokens.vocabularies import Vocabulary
from framework.evaluation.generation import prompt_lengths
from framework.tasks.random_numbers.normals import Prompt, Prompts, written

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class DescribedData(TextData):
    """Serves prompts: what both kinds share, texts and their tokens.

    A text begins with the token that separates documents. Validation uses the test prompts, as in
    the experiment.

    Args:
        source: Where the prompts come from.
        tokenizer: How text becomes tokens; its bytes if not given.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    def __init__(
        self, source: Prompts, tokenizer: Tokenizer | None = None, **options: Unpack[DataOptions]
    ) -> None:
        super().__init__(tokenizer, **options)
        self.source = source

    @abstractmethod
    def prompt_tokens(self, batch: Any) -> list[list[int]]:
        """Returns the prompt tokens of each example."""

    def dataset(self, split: str) -> Dataset:
        """Returns the prompts of a split."""
        return InMemory(self._batches["train" if split == "train" else "test"])

    def truth(self, batch: Any) -> Distribution | None:
        """Returns the true distribution of each number, batch shape `[B, 1]`, or `None`."""
        return self.source.truth([self.decode(ids) for ids in self.prompt_tokens(batch)])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the texts."""
        texts = [prompt.text for prompt in self.prompts["train"]]
        return (self.tokenizer or ByteTokenizer()).fit(fingerprint(*texts), lambda: texts)

    @cached_property
    def prompts(self) -> dict[str, list[Prompt]]:
        """The prompts of each split."""
        return {split: self.source.prompts(split) for split in ("train", "test")}

    @cached_property
    @abstractmethod
    def _batches(self) -> dict[str, Any]:
        """All examples of each split, as one batch."""


class PromptData(DescribedData):
    """Serves prompts whose target is the number itself.

    Args:
        source: Where the prompts come from.
        tokenizer: How text becomes tokens; its bytes if not given.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    @property
    def spec(self) -> PromptSpec:
        """Range of the numbers, size of the vocabulary, and length of the longest text."""
        length = max(batch.tokens.shape[1] for batch in self._batches.values())
        return PromptSpec(self.source.support, self.vocabulary.size, length)

    def prompt_tokens(self, batch: PromptBatch) -> list[list[int]]:
        """Returns the tokens of each text."""
        rows = zip(batch.tokens, batch.mask, strict=True)
        return [tokens[mask].tolist() for tokens, mask in rows]

    @cached_property
    def _batches(self) -> dict[str, PromptBatch]:
        return {split: self._batch(prompts) for split, prompts in self.prompts.items()}

    def _batch(self, prompts: list[Prompt]) -> PromptBatch:
        rows = self.begin([prompt.text for prompt in prompts])
        length = max(map(len, rows))
        tokens = torch.zeros(len(rows), length, dtype=torch.int64)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for k, ids in enumerate(rows):
            tokens[k, length - len(ids) :] = torch.tensor(ids)
            mask[k, length - len(ids) :] = True
        target = torch.tensor([[prompt.number] for prompt in prompts])
        return PromptBatch(tokens, mask, target, torch.ones_like(target))


class PromptTokenData(DescribedData):
    """Serves the same prompts for a language model, each followed by its number in two decimals.

    Only the tokens of the number count, with the comma that ends it.

    Args:
        source: Where the prompts come from.
        tokenizer: How text becomes tokens; its bytes if not given.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    @property
    def spec(self) -> TokenSpec:
        """Vocabulary, length of the longest text with its number, and bytes per token of these."""
        batch, answers = self._batches["test"], self.prompts["test"]
        size = sum(len(written(prompt.number)) for prompt in answers)
        length = max(batch.tokens.shape[1] for batch in self._batches.values())
        return TokenSpec(Tokens(self.vocabulary.size), length, size / batch.weight.sum().item())

    def prompt_tokens(self, batch: TokenBatch) -> list[list[int]]:
        """Returns the tokens of each text, without the number."""
        rows = zip(batch.tokens.tolist(), prompt_lengths(batch.weight).tolist(), strict=True)
        return [tokens[:length] for tokens, length in rows]

    @cached_property
    def _batches(self) -> dict[str, TokenBatch]:
        return {split: self._batch(prompts) for split, prompts in self.prompts.items()}

    def _batch(self, prompts: list[Prompt]) -> TokenBatch:
        questions = self.begin([prompt.text for prompt in prompts])
        answers = self.vocabulary.encode([written(prompt.number) for prompt in prompts])
        rows = [text + answer for text, answer in zip(questions, answers, strict=True)]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        weight = torch.zeros(tokens.shape)
        for k, (row, text) in enumerate(zip(rows, questions, strict=True)):
            tokens[k, : len(row)] = torch.tensor(row)
            weight[k, len(text) : len(row)] = 1
        return TokenBatch(tokens[:, :-1], tokens[:, 1:], weight[:, 1:])
