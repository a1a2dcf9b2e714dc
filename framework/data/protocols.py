"""Capabilities that data may offer beyond batches; modules and analyses test for them.

A data module offers one by having its methods; it need not inherit from the protocol. What lacks
them is left out (a metric, a curve in a figure), or refused where nothing works without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution


@runtime_checkable
class ReadsText(Protocol):
    """Data of tokens that stand for text."""

    def encode(self, text: str) -> list[int]:
        """Converts a text to token ids."""

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text."""


@runtime_checkable
class KeepsState(Protocol):
    """Data of which something travels with the checkpoints of their models."""

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Adds it to a checkpoint, as plain data."""

    def require(self, checkpoint: Mapping[str, Any]) -> None:
        """Raises a ValueError if the model of a checkpoint cannot read these data."""


@runtime_checkable
class MeasuresBytes(Protocol):
    """Data of tokens that know how long these are as text."""

    def bytes_per_token(self, split: str) -> float:
        """Returns the mean length in bytes of the tokens of "val" or "test" to predict."""


@runtime_checkable
class EndsDocuments(Protocol):
    """Data of tokens, some of which end documents."""

    @property
    def end_tokens(self) -> Collection[int]:
        """Their ids; empty if they are not known."""


@runtime_checkable
class CountsTokens(Protocol):
    """Data that know their vocabulary and their training text."""

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens that can occur; the support may be padded beyond them."""

    def counts(self) -> Tensor:
        """Counts how often each token of the support occurs in the training text, `[V]` int64."""


@runtime_checkable
class ReadsCorpora(Protocol):
    """Data that can serve another corpus in the same vocabulary."""

    def elsewhere(self, source: Any) -> Any:
        """Returns the data module of another corpus."""


@runtime_checkable
class KnowsTruth(Protocol):
    """Data whose true conditional distribution is known."""

    def truth(self, batch: Any) -> Distribution | None:
        """Returns the true distribution of the targets, batch shape `[B, T]`, None if unknown."""


@runtime_checkable
class KnowsMean(Protocol):
    """Data whose true conditional mean is known."""

    def mean(self, batch: Any) -> Tensor | None:
        """Returns the true means of the targets, `[B, T]`, None if unknown."""


@runtime_checkable
class MarksTask(Protocol):
    """Data only some of whose positions are the task to be learned."""

    def task(self, batch: Any) -> Tensor:
        """Returns which positions belong to the task, `[B, T]` bool."""


@runtime_checkable
class KnowsRegressors(Protocol):
    """Data whose targets are computed from known quantities, for which probes can look."""

    def regressors(self, batch: Any) -> Mapping[str, Tensor]:
        """Returns quantities that a hidden state may hold before they are needed, `[B, T]`."""


@runtime_checkable
class RequestsReturns(Protocol):
    """Data whose evaluation plays episodes, with a loader for each return that is asked for."""

    @property
    def target_returns(self) -> Sequence[float]:
        """The returns, in the order of the loaders behind the first."""


@runtime_checkable
class HasSource(Protocol):
    """Data that are read from an exchangeable source."""

    source: Any
