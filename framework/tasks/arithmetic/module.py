"""Language models that answer equations, whatever these are and wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure

from components.data import TokenBatch
from framework.evaluation.generation import Sampling, aligned_prompts, generate
from framework.modules.base import WeightedValues
from framework.modules.language import LanguageModel
from framework.tasks.arithmetic.data import Equations

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import LanguageOptions

GREEDY = Sampling(length=1, temperature=0.0)
"""Each token of an answer is the most likely one."""

AT_ONCE = 512  # equations of a figure that are computed together


class EquationModel(LanguageModel):
    """Trains and evaluates a language model that answers equations.

    An answer is correct if the most likely token is correct at each of its positions, which is
    what greedy decoding would write. Reports `nll` and what the data break down, the accuracy
    above all: `EquationData` by loader, `hole_nll` and `hole_accuracy` of the pairs left out, in
    validation also `seen_nll` and `seen_accuracy` of those trained on; `ProductData` the
    `accuracy` and that of each pair of lengths, `accuracy_2x3` for factors drawn among numbers of
    two digits and of three. Prediction writes the answers.

    Args:
        sampling: How answers are written; their length is that of the correct ones.
        options: Options of a language model (`tied`) and of every module, see `PredictiveModule`.

    Raises:
        ValueError: If the data hold no equations.
    """

    def __init__(self, *, sampling: Sampling = GREEDY, **options: Unpack[LanguageOptions]) -> None:
        super().__init__(sampling=sampling, **options)

    def setup(self, stage: str) -> None:
        """Refuses data of another kind."""
        super().setup(stage)
        if not isinstance(self.data, Equations):
            raise ValueError(
                f"EquationModel answers equations, got {type(self.data).__name__}; use "
                "EquationData or ProductData, or LanguageModel for other tokens."
            )

    def evaluate(self, batch: TokenBatch, dataloader_idx: int) -> Mapping[str, WeightedValues]:
        """Returns what a batch adds to the metrics, and to those of its parts."""
        found = dict(super().evaluate(batch, dataloader_idx))
        measured = {"nll": found["nll"], "accuracy": found.pop("accuracy")}
        return {**found, **self.data.breakdown(batch, dataloader_idx, measured)}

    def metrics(self, prediction: Any, batch: TokenBatch) -> Mapping[str, WeightedValues]:
        """Returns which answers are correct, `[B]`."""
        right = (prediction.mode == batch.target) | (batch.weight == 0)
        each = right.all(1).float()
        return {"accuracy": (each, torch.ones_like(each))}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Derives nothing: answers have no bytes."""
        return {}

    def figures(self, batch: TokenBatch) -> Mapping[str, Figure]:
        """Draws how well equations are answered, those that the data choose."""
        chosen, found = self.data.drawn(), []
        for start in range(0, len(chosen.tokens), AT_ONCE):
            part = type(chosen)(
                *(field[start : start + AT_ONCE].to(self.device) for field in chosen)
            )
            prediction: Any = self(part)
            log_probs = torch.where(part.weight > 0, prediction.log_prob(part.target), 0.0)
            right, _ = self.metrics(prediction, part)["accuracy"]
            found.append((log_probs.sum(1).exp(), right))
        probability, right = (torch.cat(parts) for parts in zip(*found, strict=True))
        figures: Mapping[str, Figure] = self.data.draw(probability, right)
        return figures

    def predict_step(
        self, batch: TokenBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Writes an answer to each equation; rows hold the question, it, and the correct one."""
        prompts, mask = aligned_prompts(batch)
        sampling = replace(self.sampling, length=int(batch.weight.sum(1).max()))
        generator = self._generator(batch_idx)
        new = generate(self.stem, self.backbone, self.head, prompts, sampling, generator, mask)
        decode = self._decoder()
        rows = zip(prompts, mask, new, batch.target, batch.weight > 0, strict=True)
        return [
            {
                "prompt": decode(question[shown].tolist()),
                "text": decode(added.tolist()),
                "answer": decode(target[due].tolist()),
            }
            for question, shown, added, target, due in rows
        ]
