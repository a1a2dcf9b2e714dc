"""Models that answer equations: what is known inside the hole, and what outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.data import TokenBatch
from framework.data.equations.module import EquationData
from framework.evaluation.generation import Sampling, generate
from framework.figures import draw_equations
from framework.modules.base import Ratio
from framework.modules.language import LanguageModel
from framework.modules.writer import aligned

PARTS = ("hole", "seen")  # what the loaders of `EquationData` serve, in their order
AT_ONCE = 512  # equations of a picture that are computed together
LIKELIEST = Sampling(length=1, temperature=0.0)
"""Answers are the likeliest ones, token by token."""


class EquationModel(LanguageModel):
    """Trains and evaluates a language model that answers equations of which a hole is left out.

    Reports likelihood and accuracy for the hole, `hole_nll` and `hole_accuracy`, and in validation
    for what was trained on, `seen_nll` and `seen_accuracy`; `nll` is that of all together. An
    answer is right if the likeliest token is right at each of its places. Prediction writes the
    answers.

    Args:
        sampling: How answers are written; their length is that of the right ones.
        options: Options of a language model and of every module: tied, spec, stem, backbone, head,
            losses, optimizer, schedule, execution, initialization, decay_embeddings, vanilla.

    Raises:
        ValueError: If the data are no equations.
    """

    def __init__(self, *, sampling: Sampling = LIKELIEST, **options: Any) -> None:
        super().__init__(sampling=sampling, **options)

    def setup(self, stage: str) -> None:
        """Refuses data of another kind, which have neither hole nor answers."""
        super().setup(stage)
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, EquationData):
            raise ValueError(
                f"EquationModel answers the equations of EquationData, got {type(data).__name__}; "
                "choose LanguageModel for other tokens."
            )
        self._data = data

    def evaluate(self, batch: TokenBatch, dataloader_idx: int) -> Mapping[str, Ratio]:
        """Returns what a batch adds to the metrics of its part."""
        found, part = super().evaluate(batch, dataloader_idx), PARTS[dataloader_idx]
        return {
            "nll": found["nll"],
            "outside": found["outside"],
            f"{part}_nll": found["nll"],
            f"{part}_accuracy": found["accuracy"],
        }

    def metrics(self, prediction: Any, batch: TokenBatch) -> Mapping[str, Ratio]:
        """Returns which answers are right, `[B]`."""
        right = (prediction.mode == batch.target) | (batch.weight == 0)
        each = right.all(1).float()
        return {"accuracy": (each, torch.ones_like(each))}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Derives nothing: answers have no bytes."""
        return {}

    def figures(self, batch: TokenBatch) -> Mapping[str, Figure]:
        """Draws how likely the right answer of each equation is, inside the hole and outside."""
        source, hole, table = self._data.source, self._data.hole, self._data.equations()
        parts = (
            TokenBatch(*(field[start : start + AT_ONCE].to(self.device) for field in table))
            for start in range(0, len(table.tokens), AT_ONCE)
        )
        known = torch.cat([self._certainty(part) for part in parts])
        square = known.view(source.size, source.size)
        return {"equations": draw_equations(square, hole.corner, hole.side, source.formula)}

    def predict_step(
        self, batch: TokenBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Writes an answer to each equation; rows hold the question, it, and the right one."""
        prompts, mask = aligned(batch)
        sampling = replace(self.sampling, length=int(batch.weight.sum(1).max()))
        generator = self._generator(batch_idx)
        new = generate(self.stem, self.backbone, self.head, prompts, sampling, generator, mask)
        decode = self._decoder()
        rows = zip(prompts, mask, new, batch.target, batch.weight > 0, strict=True)
        return [
            {
                "prompt": decode(asked[shown].tolist()),
                "text": decode(added.tolist()),
                "answer": decode(target[due].tolist()),
            }
            for asked, shown, added, target, due in rows
        ]

    def _certainty(self, batch: TokenBatch) -> Tensor:
        """Computes the probability of the right answer to each equation, `[B]`."""
        log_probs = self(batch).log_prob(batch.target)
        return torch.where(batch.weight > 0, log_probs, 0.0).sum(1).exp()
