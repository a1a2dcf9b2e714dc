"""Formats: how others write a language model, and which recipe of ours it is."""

from __future__ import annotations

import pydoc
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from framework.exchange.configuration import Configuration
from framework.exchange.rows import Rows

EMBEDDING, READOUT = "stem.embedding.weight", "head.projection.weight"


@dataclass(frozen=True)
class Plan:
    """A published model in our words.

    Args:
        architecture: What it is called.
        backbone: Options of the `Decoder`.
        size: Rows of the embedding, the tokens that can be predicted.
        length: Positions of the longest sequence that it was made for.
        tied: Whether the read-out is the embedding.
        rows: Where its tensors go.
        p: Phases per output of its FAN layers, None if it has none.
    """

    architecture: str
    backbone: dict[str, Any]
    size: int
    length: int
    tied: bool
    rows: list[Rows] = field(repr=False)
    p: float | None = None


class Format(ABC):
    """One way to name and arrange the tensors of a language model."""

    name: ClassVar[str]
    kinds: ClassVar[Collection[str]]  # what its configurations say under `model_type`

    @abstractmethod
    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> Plan:
        """Describes a model.

        Args:
            config: Its configuration.
            tensors: Its tensors; sizes that a configuration may leave out are those of theirs.

        Raises:
            ValueError: If configuration and tensors disagree, or ours cannot be such a model.
        """

    def parameters(self, plan: Plan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leaves out what a file holds besides parameters; here nothing.

        Raises:
            ValueError: If that is not what it ought to be.
        """
        return dict(tensors)


def part(name: str, **options: Any) -> dict[str, Any]:
    """Describes a component as the command line would: by its name in our library."""
    path = name if "." in name else f"components.{name}"
    return {"class_path": path, "init_args": options} if options else {"class_path": path}


def factory(described: Any) -> Any:
    """Makes the factory of a component from its description."""
    options = described.get("init_args", {})
    made = {
        name: factory(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
    }
    kind: Any = pydoc.locate(described["class_path"])
    return partial(kind, **made)


def without_twin(
    owner: str, tensors: Mapping[str, Tensor], twin: str, original: str
) -> dict[str, Tensor]:
    """Leaves out a read-out that repeats the embedding it is tied to.

    Args:
        owner: Where the tensors come from, for the message.
        tensors: All of them.
        twin: Name of the read-out.
        original: Name of the embedding.

    Raises:
        ValueError: If the two differ.
    """
    kept = {name: tensor for name, tensor in tensors.items() if name != twin}
    if twin in tensors and original in tensors and not tensors[twin].equal(tensors[original]):
        raise ValueError(
            f"{owner} ties the read-out to the embedding, but the tensor {twin} differs from "
            f"{original}; set tie_word_embeddings: false there if they are meant to differ."
        )
    return kept
