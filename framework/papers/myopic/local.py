"""The local myopic model: it sees a past that another model computed."""

from __future__ import annotations

from typing import Any

from torch.distributions import Distribution

from components.data import Batch
from framework.modules.base import PredictiveModule
from framework.modules.language import LanguageModel
from framework.papers.myopic.frozen import FrozenReference


class GivenPastModel(PredictiveModule):
    """Reads a batch with keys and values that a frozen reference computed of it.

    A module of any kind takes that up by inheriting from this class first, and its own second.

    Args:
        reference: Checkpoint of the model whose keys and values attention sees with `GivenPast`:
            a file or a folder of shards, of the same architecture.
        options: Options of the module.

    Raises:
        ValueError: If no attention of the backbone would see them, or the checkpoint is of no use.

    Source: Wu et al., "Do Language Models Plan Ahead for Future Tokens?" (arXiv:2404.00859),
        definition 4.
    """

    def __init__(self, *, reference: str, **options: Any) -> None:
        super().__init__(**options)
        self._reference_path = reference

    def configure_model(self) -> None:
        """Builds the parts, and the reference beside them; does nothing when called again."""
        if hasattr(self, "head"):
            return
        super().configure_model()
        self.reference = FrozenReference(self._reference_path, self.stem, self.backbone)

    def forward(self, batch: Batch) -> Distribution:
        """Predicts a batch: batch shape `[B, T]`, event shape that of the support."""
        hidden = self.backbone(self.stem(batch), self.reference(batch))
        prediction: Distribution = self.head(self.stem.readout(hidden))
        return prediction


class LocalLanguageModel(GivenPastModel, LanguageModel):
    """Trains and evaluates a language model that sees the past of another one.

    Args:
        reference: Checkpoint of the model whose keys and values attention sees with `GivenPast`:
            a file or a folder of shards, of the same architecture.
        options: Options of a language model and of every module: tied, sampling, spec, stem,
            backbone, head, losses, optimizer, schedule, execution, initialization,
            decay_embeddings.
    """

    def __init__(self, *, reference: str, **options: Any) -> None:
        super().__init__(reference=reference, **options)
