"""Language models that answer with a number in writing: the baseline that keeps its read-out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from components.data import TokenBatch
from components.distributions.functionals import probabilities
from components.metrics.densities import total_variation
from framework.data.protocols import KnowsTruth
from framework.evaluation.generation import (
    Sampling,
    aligned_prompts,
    generate,
    prompt_lengths,
)
from framework.modules.base import WeightedValues
from framework.modules.language import LanguageModel
from framework.tasks.random_numbers.histograms import cell_fractions, distinct, edges

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import LanguageOptions

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
WRITING = Sampling(length=20, top_p=0.95)
"""How the published baseline writes: at most 20 tokens, from the likeliest 95 %."""


class PromptWriter(LanguageModel):
    """Trains and evaluates a language model that answers a text with a number, token by token.

    Its texts are continued, and the first number in each continuation is read. Reports what
    `PromptModel` does of its samples, `tvd`, where what is no number counts as wrong, and
    `unique`, and besides the share of continuations without a number, `unread`.

    It is no fair comparison, as in the paper: `top_p` below 1 cuts the tails off, texts of two
    decimals know 201 numbers and round what the distribution of a head need not, and nats are per
    token here, per number there.

    Args:
        samples: Texts to write for each prompt, at least 1.
        cells: Cells of the range for the total variation, at least 1.
        sampling: How texts are continued.
        options: Options of every module, see `PredictiveModule`.

    Raises:
        ValueError: If nothing would be written or compared.
    """

    def __init__(
        self,
        *,
        samples: int = 128,
        cells: int = 20,
        sampling: Sampling = WRITING,
        **options: Unpack[LanguageOptions],
    ) -> None:
        super().__init__(sampling=sampling, **options)
        if samples < 1 or cells < 1:
            raise ValueError(
                f"PromptWriter compares nothing with samples={samples}, cells={cells}; use at "
                "least 1 of each."
            )
        self.samples, self.cells = samples, cells

    def evaluate(self, batch: TokenBatch, dataloader_idx: int) -> Mapping[str, WeightedValues]:
        """Returns what a language model does, and how good the written numbers are."""
        found = dict(super().evaluate(batch, dataloader_idx))
        truth = self.data.truth(batch) if isinstance(self.data, KnowsTruth) else None
        if truth is not None:
            numbers = torch.tensor(self._numbers(self._write(batch))).T.unsqueeze(-1)
            borders, each = (
                edges(self.data.source.support, self.cells),
                torch.ones(len(numbers[0]), 1),
            )
            true = probabilities(truth, borders)
            found |= {
                "tvd": (total_variation(cell_fractions(numbers, borders), true), each),
                "unique": (distinct(numbers), each),
                "unread": (numbers.isnan().float().mean(0), each),
            }
        return found

    def predict_step(
        self, batch: TokenBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Writes numbers for each prompt; rows hold the prompt, the texts, and what was read."""
        decode, lengths = self._decoder(), prompt_lengths(batch.weight).tolist()
        texts = self._write(batch)
        rows = zip(batch.tokens.tolist(), lengths, texts, self._numbers(texts), strict=True)
        return [
            {"prompt": decode(tokens[:length]), "texts": written, "numbers": numbers}
            for tokens, length, written, numbers in rows
        ]

    def _write(self, batch: TokenBatch) -> list[list[str]]:
        """Continues each prompt `samples` times."""
        prompts, mask = aligned_prompts(batch)
        new = generate(
            self.stem,
            self.backbone,
            self.head,
            prompts.repeat_interleave(self.samples, 0),
            self.sampling,
            self._generator(0),
            mask.repeat_interleave(self.samples, 0),
        )
        decode = self._decoder()
        rows = new.view(-1, self.samples, new.shape[-1]).tolist()
        return [[decode(tokens) for tokens in row] for row in rows]

    def _numbers(self, texts: list[list[str]]) -> list[list[float]]:
        return [[number(text) for text in row] for row in texts]


def number(text: str) -> float:
    """Reads the first number in a text; `nan` if there is none.

    Example:
        >>> number(" -0.43, 0.21, 0.")
        -0.43
    """
    found = NUMBER.search(text)
    return float(found[0]) if found else float("nan")
