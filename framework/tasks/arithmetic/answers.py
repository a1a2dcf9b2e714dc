"""Language models that answer equations, whatever these are and wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from components.data import TokenBatch
from framework.evaluation.generation import Sampling, aligned_prompts, generate
from framework.modules.base import Ratio
from framework.modules.language import LanguageModel
from framework.tasks.arithmetic.data import Equations

if TYPE_CHECKING:
    from typing import Unpack

    from framework.modules.options import LanguageOptions

GREEDY = Sampling(length=1, temperature=0.0)
"""Answers are the likeliest ones, token by token."""


class AnswerModel(LanguageModel):
    """Trains and evaluates a language model that answers equations.

    An answer is right if the likeliest token is right at each of its places, which is to say that
    it is what would be written token by token. Prediction writes the answers.

    Args:
        sampling: How answers are written; their length is that of the right ones.
        options: Options of a language model (`tied`) and of every module, see
            `PredictiveModule`.

    Raises:
        ValueError: If the data are no such equations.
    """

    answers: ClassVar[type[Equations]]  # what the data must be, to draw pictures of them

    def __init__(self, *, sampling: Sampling = GREEDY, **options: Unpack[LanguageOptions]) -> None:
        super().__init__(sampling=sampling, **options)

    def setup(self, stage: str) -> None:
        """Refuses data of another kind."""
        super().setup(stage)
        if not isinstance(self.data, self.answers):
            raise ValueError(
                f"{type(self).__name__} answers the equations of {self.answers.__name__}, got "
                f"{type(self.data).__name__}; choose LanguageModel for other tokens."
            )

    def metrics(self, prediction: Any, batch: TokenBatch) -> Mapping[str, Ratio]:
        """Returns which answers are right, `[B]`."""
        right = (prediction.mode == batch.target) | (batch.weight == 0)
        each = right.all(1).float()
        return {"accuracy": (each, torch.ones_like(each))}

    def summarize(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Derives nothing: answers have no bytes."""
        return {}

    def predict_step(
        self, batch: TokenBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> list[dict[str, Any]]:
        """Writes an answer to each equation; rows hold the question, it, and the right one."""
        prompts, mask = aligned_prompts(batch)
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
