"""Heads that predict by one logit per cell: their base, and the linear head."""

from __future__ import annotations

import math
from abc import abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution

from components.distributions import Categorical
from components.interfaces import Head, OutputEmbedding
from components.layers.linear import TiedLinear
from components.supports import Binning, Bins, Support, Tokens


class LogitsHead(Head):
    """Predicts by one logit for each cell that the support is divided into.

    Over tokens the distribution is a categorical, over real values a histogram, whose density is
    constant within a cell; each component of a vector has its own histogram. A subclass chooses
    the cells and the map to their logits, `number_of_logits(cells)` of them.

    Args:
        support: What can be predicted.
        cells: How the support is divided, `support.divide(bins)`.
        projection: Maps hidden states to logits.
    """

    @abstractmethod
    def __init__(self, support: Support, cells: Tokens | Bins, projection: nn.Module) -> None:
        super().__init__()
        self.support = support
        self.cells = cells
        self.projection = projection

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        logits = self.projection(hidden).unflatten(-1, (*self.cells.shape, self.cells.size))
        return self.cells.distribution(Categorical(logits), hidden.device)

    def output_embedding(self) -> OutputEmbedding:
        """Returns the last linear map of the head; see `Head.output_embedding`."""
        if not isinstance(self.support, Tokens):
            raise ValueError(
                f"{type(self).__name__} predicts {self.support}, and has an output embedding for "
                "Tokens only; use a model of tokens."
            )
        *features, readout = list(self.projection.children()) or [self.projection]
        assert isinstance(readout, nn.Linear | TiedLinear)
        return OutputEmbedding(nn.Sequential(*features), readout.weight, readout.bias)

    def tie(self, table: nn.Embedding) -> None:
        """Shares the matrix of an embedding; see `Head.tie`."""
        name, readout = [*self.named_modules()][-1]
        assert isinstance(readout, nn.Linear)
        if readout.weight.shape != table.weight.shape:
            rows, width = table.weight.shape
            raise ValueError(
                f"{type(self).__name__} reads {readout.out_features} logits from a width of "
                f"{readout.in_features}, the embedding has {rows} vectors of width {width}; make "
                "them equal, or drop tied."
            )
        self.set_submodule(name, TiedLinear(table, readout.bias))


class LinearHead(LogitsHead):
    """Predicts one logit per cell by a linear map, without relating neighboring cells.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted.
        bins: Cells that an interval is divided into, 256 if not given, or a binning that divides
            it. Tokens and bins have theirs.
        bias: Whether each logit has a learned constant.

    Raises:
        ValueError: If `bins` is given for a support that has its cells already.

    Example:
        >>> import torch
        >>> from components.supports import Interval
        >>> head = LinearHead(dim=8, support=Interval(-1.0, 1.0), bins=50)
        >>> head(torch.zeros(2, 3, 8)).batch_shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        dim: int,
        support: Support,
        bins: int | Binning | None = None,
        bias: bool = True,
    ) -> None:
        cells = support.divide(bins)
        super().__init__(support, cells, nn.Linear(dim, number_of_logits(cells), bias))


def number_of_logits(cells: Tokens | Bins) -> int:
    """Counts the logits of one prediction: cells times components of a vector."""
    return math.prod(cells.shape) * cells.size
