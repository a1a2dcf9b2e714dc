"""Models that answer a text with a number: by a distribution over numbers, or in writing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import PromptBatch, PromptSpec, TokenBatch
from components.distributions.functionals import probabilities
from components.metrics.densities import total_variation
from framework.data.protocols import KnowsTruth, ReadsText
from framework.evaluation.generation import Sampling, aligned_prompts, generate, prompt_lengths
from framework.evaluation.randomness import seeded
from framework.figures import draw_densities
from framework.modules.base import PredictiveModule, WeightedValues
from framework.modules.language import LanguageModel
from framework.tasks.random_numbers.histograms import cell_fractions, distinct, edges

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import LanguageOptions, ModuleOptions

POINTS = 512  # of a curve
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
WRITING = Sampling(length=20, top_p=0.95)
"""Sampling of the published baseline: at most 20 tokens, top-p 0.95."""


class PromptModel(PredictiveModule):
    """Trains and evaluates a language model whose read-out predicts a number.

    Where the data know the true distribution of each number, reports the total variation distance
    of the prediction from it over equal cells of the range: `tvd` of samples, as published, and
    `tvd_exact` of the distribution itself, without sampling noise. `unique` counts the different
    numbers among the samples, to two decimals. Probability beyond the range counts as wrong.

    Args:
        samples: Numbers to draw for each prompt, at least 1.
        cells: Cells of the range, at least 1.
        seed: Seed of the draws.
        options: Options of every module, see `PredictiveModule`.

    Raises:
        ValueError: If nothing would be drawn or compared.
    """

    kind = PromptSpec
    spec: PromptSpec

    def __init__(
        self,
        *,
        samples: int = 128,
        cells: int = 20,
        seed: int = 0,
        **options: Unpack[ModuleOptions],
    ) -> None:
        super().__init__(**options)
        if samples < 1 or cells < 1:
            raise ValueError(
                f"PromptModel compares nothing with samples={samples}, cells={cells}; use at "
                "least 1 of each."
            )
        self.samples, self.cells, self.seed = samples, cells, seed

    def metrics(self, prediction: Any, batch: PromptBatch) -> Mapping[str, WeightedValues]:
        """Returns the squared error of the mean and, where the truth is known, distances."""
        found = {"squared_error": ((prediction.mean - batch.target).square(), batch.weight)}
        truth = self._truth(batch)
        if truth is not None:
            borders = edges(self.spec.support.interval, self.cells)
            true = probabilities(truth, borders).to(self.device)
            borders, drawn = borders.to(self.device), self._draw(prediction)
            distribution = probabilities(prediction, borders)
            found |= {
                "tvd": (total_variation(cell_fractions(drawn, borders), true), batch.weight),
                "tvd_exact": (total_variation(distribution, true), batch.weight),
                "unique": (distinct(drawn), batch.weight),
            }
        return found

    def figures(self, batch: PromptBatch) -> Mapping[str, Figure]:
        """Draws predicted distributions of some examples, and of the whole batch."""
        borders, truth = edges(self.spec.support.interval, POINTS), self._truth(batch)
        values = (borders[1:] + borders[:-1]) / 2
        figure = draw_densities(
            values,
            _densities(self(batch), values.to(self.device)),
            batch.target[:, 0],
            None if truth is None else _densities(truth, values),
        )
        return {"densities": figure}

    def predict_step(
        self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Draws numbers for each prompt; rows hold the tokens of the prompt and the numbers."""
        drawn = self._draw(self(batch))[..., 0].T.tolist()
        rows = zip(batch.tokens, batch.mask, drawn, strict=True)
        decode = self.data.decode if isinstance(self.data, ReadsText) else list
        return [
            {"prompt": decode(tokens[mask].tolist()), "numbers": numbers}
            for tokens, mask, numbers in rows
        ]

    def _draw(self, prediction: Any) -> Tensor:
        """Draws numbers `[samples, B, 1]`, reproducibly for each prediction and process."""
        with seeded(self.seed + self.place[0], self.device):
            drawn: Tensor = prediction.sample((self.samples,))
        return drawn

    def _truth(self, batch: PromptBatch) -> Any:
        """Returns the true distributions on the CPU, batch shape `[B, 1]`, or None."""
        return self.data.truth(batch) if isinstance(self.data, KnowsTruth) else None


def _densities(distribution: Any, values: Tensor) -> Tensor:
    """Evaluates a distribution of batch shape `[B, 1]` at values `[G]`: `[B, G]`."""
    found: Tensor = distribution.log_prob(
        values.view(-1, 1, 1).expand(-1, *distribution.batch_shape)
    ).exp()
    return found[..., 0].T


class PromptWriter(LanguageModel):
    """Trains and evaluates a language model that answers a text with a number, token by token.

    Its prompts are continued, and the first number in each continuation is read. Reports `tvd` and
    `unique` of the samples, as `PromptModel` does, where a continuation without a number counts as
    wrong, and `unread`, the share of such continuations.

    The comparison is unfair, as in the paper: `top_p` below 1 cuts off the tails, two decimals
    allow 201 numbers only, and nats are per token here, per number there.

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
        """Returns the metrics of a language model, and those of the written numbers."""
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
