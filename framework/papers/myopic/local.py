"""The local myopic model: it attends to keys and values that a frozen model computed."""

from __future__ import annotations

from typing import Any

from torch.distributions import Distribution

from components.data import Batch
from components.layers.myopic.attention import GivenPast
from framework.modules.base import PredictiveModule
from framework.modules.language import LanguageModel
from framework.modules.returned import hidden_states, predicted
from framework.papers.myopic.frozen import FrozenReference


class GivenPastModel(PredictiveModule):
    """Reads a batch with keys and values that a frozen reference computed of it.

    A module of another kind becomes local by inheriting from this class first, and from its own
    second. Only whole sequences are read: what continues them step by step is refused.

    Args:
        reference: Checkpoint of the model whose keys and values are attended to: a file or a
            folder of shards, of the same architecture.
        options: Options of the module. The attention of its backbone is `GivenPast`.

    Raises:
        ValueError: If the attention is another, or the checkpoint cannot be used.

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
        if not any(isinstance(part, GivenPast) for part in self.backbone.modules()):
            raise ValueError(
                f"{type(self).__name__}: reference={self._reference_path!r} computes keys and "
                f"values that the attention of {type(self.backbone).__name__} does not read; "
                "choose attention=GivenPast, as `--config myopic/local` does."
            )
        self.reference = FrozenReference(self._reference_path, self.stem, self.backbone)

    def forward(self, batch: Batch) -> Distribution:
        """Predicts a batch: batch shape `[B, T]`, event shape that of the support."""
        hidden = hidden_states(self.stem, self.backbone, batch, self.reference(batch))
        return predicted(self.head, hidden, self.spec.support)


class LocalLanguageModel(GivenPastModel, LanguageModel):
    """Trains and evaluates a language model that attends to the past of a frozen one.

    Args:
        reference: Checkpoint of the frozen model: a file or a folder of shards, of the same
            architecture. The attention of the backbone is `GivenPast`.
        options: Options of a language model and of every module: tied, sampling, spec, stem,
            backbone, head, losses, optimizer, schedule, execution, initialization,
            decay_embeddings.
    """

    def __init__(self, *, reference: str, **options: Any) -> None:
        super().__init__(reference=reference, **options)
