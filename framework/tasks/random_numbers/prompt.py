"""Models that answer a text with a number: the distribution of the number is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from torch import Tensor

from components.data import PromptBatch, PromptSpec
from components.distributions.functionals import probabilities
from components.metrics.densities import total_variation
from framework.data.protocols import KnowsTruth, ReadsText
from framework.evaluation.randomness import seeded
from framework.figures import draw_densities
from framework.modules.base import PredictiveModule, WeightedValues
from framework.tasks.random_numbers.histograms import cell_fractions, distinct, edges

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import ModuleOptions

POINTS = 512  # of a curve


class PromptModel(PredictiveModule):
    """Trains and evaluates a language model whose read-out predicts a number.

    Where the data know the true distribution of each number, it reports how far the predicted one
    is from it, as total variation over equal cells of the range: `tvd` of samples, as published,
    and `tvd_exact` of the distribution itself, which has no noise of sampling in it. `unique`
    counts the different numbers among the samples, in two decimals. Numbers beyond the range, of
    distributions that have them, count as wrong.

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
        """Draws numbers `[samples, B, 1]`, the same for the same prediction and process."""
        with seeded(self.seed + self.global_rank, self.device):
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
