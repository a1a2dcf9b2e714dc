"""Models that answer equations: what is known inside the hole, and what outside."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import TokenBatch
from framework.modules.base import Ratio
from framework.tasks.arithmetic.answers import AnswerModel
from framework.tasks.arithmetic.data import EquationData
from framework.tasks.arithmetic.figures import draw_equations

PARTS = ("hole", "seen")  # what the loaders of `EquationData` serve, in their order
AT_ONCE = 512  # equations of a picture that are computed together


class EquationModel(AnswerModel):
    """Trains and evaluates a language model that answers equations of which a hole is left out.

    Reports likelihood and accuracy for the hole, `hole_nll` and `hole_accuracy`, and in validation
    for what was trained on, `seen_nll` and `seen_accuracy`; `nll` is that of all together. An
    answer is right if the likeliest token is right at each of its places. Prediction writes the
    answers.

    Args:
        sampling: How answers are written; their length is that of the right ones.
        options: Options of a language model (`tied`) and of every module, see
            `PredictiveModule`.

    Raises:
        ValueError: If the data are no equations.
    """

    answers = EquationData

    def evaluate(self, batch: TokenBatch, dataloader_idx: int) -> Mapping[str, Ratio]:
        """Returns what a batch adds to the metrics of its part."""
        found, part = super().evaluate(batch, dataloader_idx), PARTS[dataloader_idx]
        return {
            "nll": found["nll"],
            "outside": found["outside"],
            f"{part}_nll": found["nll"],
            f"{part}_accuracy": found["accuracy"],
        }

    def figures(self, batch: TokenBatch) -> Mapping[str, Figure]:
        """Draws how likely the right answer of each equation is, inside the hole and outside."""
        source, hole, table = self.data.source, self.data.hole, self.data.equations()
        parts = (
            TokenBatch(*(field[start : start + AT_ONCE].to(self.device) for field in table))
            for start in range(0, len(table.tokens), AT_ONCE)
        )
        known = torch.cat([self._certainty(part) for part in parts])
        square = known.view(source.size, source.size)
        return {"equations": draw_equations(square, hole.corner, hole.side, source.formula)}

    def _certainty(self, batch: TokenBatch) -> Tensor:
        """Computes the probability of the right answer to each equation, `[B]`."""
        log_probs = self(batch).log_prob(batch.target)
        return torch.where(batch.weight > 0, log_probs, 0.0).sum(1).exp()
