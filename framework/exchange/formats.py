"""Formats: how other libraries store a language model, and which of our parts compute the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, ClassVar

import torch
from torch import Tensor

from components import Decoder, EncoderDecoder, LinearHead, TokenStem
from components.data import SeriesSpec, TokenSpec
from components.interfaces import HeadFactory, StemFactory
from framework.exchange.configuration import Configuration
from framework.modules.base import PredictiveModule
from framework.modules.language import LanguageModel

EMBEDDING, READOUT = "stem.embedding.weight", "head.projection.weight"

READS_OUT = partial(LinearHead, bias=False)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorMap:
    """Maps tensors of another format to ours: stacked along the first axis, both are equal.

    Args:
        theirs: Shapes by name, in the other format.
        ours: Shapes by name, in a checkpoint of ours.
        transposed: Whether their matrices are the transposes of ours.
        heads: Number of heads, where theirs are stacked head by head: queries, keys and values of
            the first head, then those of the second; None where ours have the same order.
        first: How many of their first rows are the last of ours.
    """

    theirs: dict[str, Shape]
    ours: dict[str, Shape]
    transposed: bool = False
    heads: int | None = None
    first: int = 0

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Converts their tensors; where their types differ, ours have one that holds both."""
        parts = [tensors[name] for name in self.theirs]
        whole = _stack([part.T if self.transposed else part for part in parts])
        if self.heads is not None:
            rows = whole.view(self.heads, 3, -1, *whole.shape[1:])
            whole = rows.transpose(0, 1).flatten(0, 2)
        return _split(whole.roll(-self.first, 0) if self.first else whole, self.ours)

    def to_theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Converts our tensors."""
        whole = _stack([tensors[name] for name in self.ours])
        if self.heads is not None:
            rows = whole.view(3, self.heads, -1, *whole.shape[1:])
            whole = rows.transpose(0, 1).flatten(0, 2)
        if not self.transposed:
            return _split(whole.roll(self.first, 0) if self.first else whole, self.theirs)
        flipped = {name: (shape[1], shape[0]) for name, shape in self.theirs.items()}
        return {name: part.T.contiguous() for name, part in _split(whole, flipped).items()}


@dataclass(frozen=True)
class ImportPlan:
    """What a published model becomes here.

    Args:
        architecture: What the model is called.
        backbone: Builds the backbone that computes the same.
        spec: What data it reads: for text the rows of the embedding, which are the tokens that can
            be predicted, and the positions of the longest sequence that it was made for.
        tied: Whether the read-out is the embedding.
        tensors: Which of its tensors become which of ours.
        p: Phases per output of its FAN layers, None if it has none.
        stem: Builds the stem.
        head: Builds the head.
        module: The class of the module.
        options: Further options of the module.
    """

    architecture: str
    backbone: partial[Decoder] | partial[EncoderDecoder]
    spec: TokenSpec | SeriesSpec
    tied: bool
    tensors: list[TensorMap] = field(repr=False)
    p: float | None = None
    stem: StemFactory = TokenStem
    head: HeadFactory = READS_OUT
    module: type[PredictiveModule] = LanguageModel
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """What a model of ours becomes in another format.

    Args:
        text: The configuration.
        tensors: Which of our tensors become which of theirs.
        twins: Names of tensors that repeat another one, whose name stands behind; files may have
            them.
    """

    text: str
    tensors: list[TensorMap] = field(repr=False)
    twins: Mapping[str, str] = field(default_factory=dict)


class Format(ABC):
    """One way to name and arrange the tensors of a language model.

    `weights` and `config` are the files that are written; with `continues` also how texts are
    continued. A checkpoint must be of `module`, and `pipeline` is what it does, as the hub says.
    """

    name: str
    title: str  # what such a model is called
    weights: ClassVar[str]
    config: ClassVar[str]
    continues: ClassVar[bool] = False

    @property
    def module(self) -> type[PredictiveModule]:
        """The class of the modules that can be written."""
        return LanguageModel

    @property
    def pipeline(self) -> str:
        """What such a model does, as the hub names it."""
        return "text-generation"

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """What its configurations say under `model_type`."""

    @abstractmethod
    def describes(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a configuration is one of this format."""

    @abstractmethod
    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> ImportPlan:
        """Plans the import of a model.

        Args:
            config: Its configuration.
            tensors: Its tensors; sizes that a configuration leaves out are read from their shapes.

        Raises:
            ValueError: If configuration and tensors disagree, or no `Decoder` computes the same.
        """

    @abstractmethod
    def write(
        self,
        owner: str,
        model: Mapping[str, Any],
        held: Mapping[str, Tensor],
        names: Collection[str] = (),
    ) -> Written:
        """Describes a model of ours in this format.

        Args:
            owner: The checkpoint, for messages.
            model: The hyper-parameters of a `LanguageModel`.
            held: Its parameters.
            names: Names of the tensors of the file that it was imported from; empty if none.

        Raises:
            ValueError: If the format has no such model.
        """

    def with_tokens(self, text: str, tokens: Mapping[str, Any]) -> str:
        """Adds to a configuration which tokens begin, end and pad texts; here nothing.

        Args:
            text: The configuration.
            tokens: Their ids by their keys, of `eos_token_id` several if there are.
        """
        return text

    def is_constant(self, name: str) -> bool:
        """Returns whether a tensor is no parameter, though files have it."""
        return False

    def parameters(self, plan: ImportPlan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tensors that are parameters: all of them, unless a format says otherwise.

        Raises:
            ValueError: If a tensor that is left out does not hold what it should.
        """
        return dict(tensors)


def without_twin(
    owner: str, tensors: Mapping[str, Tensor], twin: str, original: str
) -> dict[str, Tensor]:
    """Leaves out a read-out, or another copy, that repeats the embedding.

    Args:
        owner: What the model is called, for the message.
        tensors: All of them.
        twin: Name of the copy.
        original: Name of the embedding.

    Raises:
        ValueError: If the two differ.
    """
    kept = {name: tensor for name, tensor in tensors.items() if name != twin}
    if twin in tensors and original in tensors and not tensors[twin].equal(tensors[original]):
        raise ValueError(
            f"{owner} reads out with its embedding, but the tensor {twin} differs from "
            f"{original}; set tie_word_embeddings: false there if they are meant to differ."
        )
    return kept


def check(owner: str, maps: Iterable[TensorMap], tensors: Mapping[str, Tensor]) -> None:
    """Checks that there are exactly the tensors that a format has, of the right shapes.

    Args:
        owner: Where they come from, for the message.
        maps: What the format has.
        tensors: What was found.

    Raises:
        ValueError: If a name is unknown or missing, a shape differs, or numbers are no floats.
    """
    expected = {name: shape for one in maps for name, shape in one.theirs.items()}
    faults = [f"it has a tensor {name}, which is unknown" for name in tensors.keys() - expected]
    faults += [f"the tensor {name} is missing" for name in expected if name not in tensors]
    for name in expected.keys() & tensors.keys():
        found = tensors[name]
        if tuple(found.shape) != expected[name]:
            wanted = list(expected[name])
            faults.append(f"the tensor {name} has shape {list(found.shape)}, not {wanted}")
        elif not found.is_floating_point() or found.layout != torch.strided:
            faults.append(f"the tensor {name} holds {found.dtype}, not plain floats")
    if faults:
        faults.sort(key=lambda fault: ("unknown" not in fault, "missing" not in fault, fault))
        more = f" (and {len(faults) - 1} more differences)" if len(faults) > 1 else ""
        raise ValueError(f"{owner}: {faults[0]}{more}; its configuration describes another model.")


def _stack(parts: list[Tensor]) -> Tensor:
    dtype = reduce(torch.promote_types, (part.dtype for part in parts))
    return torch.cat([part.to(dtype) for part in parts])


def _split(whole: Tensor, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Splits rows into tensors that share no memory, so that each is saved alone."""
    sizes = [shape[0] for shape in shapes.values()]
    parts = torch.split(whole, sizes)
    return {name: part.clone() for name, part in zip(shapes, parts, strict=True)}
