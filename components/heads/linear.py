"""Heads that predict by one logit per cell: their base, and the linear head."""

from __future__ import annotations

import math
import os
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from components.distributions import Categorical, LinearCategorical
from components.interfaces import Head, OutputEmbedding
from components.layers.readout import Readout, Scaled, TiedLinear
from components.numbers import number
from components.supports import Binning, Bins, Support, Tokens

HELD = 3  # tensors of logits in float32 that a training step holds at once
SHARE = 1 / 8  # of the memory of a device that they may take, before they are made in chunks


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
        shape = (*self.cells.shape, self.cells.size)
        logits = torch.unflatten(self.logits(hidden), -1, shape)
        return self.cells.distribution(Categorical(logits), hidden.device)

    def logits(self, hidden: Tensor) -> Tensor:
        """Computes the logits of all cells, `[..., number_of_logits(cells)]`."""
        logits: Tensor = self.projection(hidden)
        return logits

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

    def tie(self, table: nn.Embedding, specials: int = 0) -> None:
        """Shares the matrix of an embedding; see `Head.tie`."""
        name, readout = [*self.named_modules()][-1]
        assert isinstance(readout, nn.Linear)
        rows, width = len(table.weight) - specials, table.weight.shape[1]
        if readout.weight.shape != (rows, width):
            raise ValueError(
                f"{type(self).__name__} reads {readout.out_features} logits from a width of "
                f"{readout.in_features}, the embedding has {rows} vectors of width {width}; make "
                "them equal, or drop tied."
            )
        self.set_submodule(name, TiedLinear(table, readout.bias, rows))


class LinearHead(LogitsHead):
    """Predicts one logit per cell by a linear map, without relating neighboring cells.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted.
        bins: Cells that an interval is divided into, 256 if not given, or a binning that divides
            it. Tokens and bins have theirs.
        bias: Whether each logit has a learned constant.
        chunked: Of tokens, whether the likelihood is computed chunk by chunk, so that no tensor
            `[B, T, V]` of logits is held: a training step with 2,048 positions and 50,257 tokens
            then needs 181 MiB in place of 1,193. It is exact, and takes 1.2 times as long, as the
            gradient computes logits again. By default it is, in training, where three such
            tensors in float32 would pass an eighth of the memory of the device.
        scale: Factor of the hidden states, positive; 1/√D in T5, whose read-out is its embedding.
        cap: Bound c, positive, of the logits, which become c · tanh(logit / c); None for none.
            Gemma 2 has 30.

    Raises:
        ValueError: If `bins` is given for a support that has its cells already, `chunked` for one
            of real values or beside `cap`, or `scale` or `cap` is not positive.

    Source: cap: Gemma Team, "Gemma 2" (arXiv:2408.00118), section 2.

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
        chunked: bool | None = None,
        scale: float = 1.0,
        cap: float | None = None,
    ) -> None:
        scale = number(scale, "LinearHead: scale")
        if not 0 < scale < math.inf:
            raise ValueError(f"LinearHead: scale={scale} is not positive; use 1 for no scaling.")
        cap = None if cap is None else number(cap, "LinearHead: cap")
        if cap is not None and not 0 < cap < math.inf:
            raise ValueError(f"LinearHead: cap={cap} is no positive bound; use null for none.")
        if chunked and cap is not None:
            raise ValueError(
                f"LinearHead: chunked={chunked} makes logits chunk by chunk, where they have no "
                f"cap={cap}; drop one of them."
            )
        cells = support.divide(bins)
        if chunked and not isinstance(cells, Tokens):
            raise ValueError(
                f"LinearHead: chunked={chunked} is for tokens, but the head predicts {support}, "
                "whose cells are few; drop it."
            )
        super().__init__(support, cells, Readout(dim, number_of_logits(cells), bias))
        self.chunked, self.scale, self.cap = chunked, scale, cap

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        hidden = hidden if self.scale == 1 else hidden * self.scale
        if isinstance(self.cells, Tokens) and self._in_chunks(hidden):
            return LinearCategorical(hidden, self.projection, self.cells.size)
        return super().forward(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """Computes the logits of all cells; see `LogitsHead.logits`."""
        logits = super().logits(hidden)
        return logits if self.cap is None else self.cap * (logits / self.cap).tanh()

    def output_embedding(self) -> OutputEmbedding:
        """Returns the last linear map of the head; see `Head.output_embedding`."""
        if self.cap is not None:
            raise ValueError(
                f"LinearHead with cap={self.cap} has logits that are no linear map of states, so "
                "that there is no output embedding; use a model without a cap."
            )
        found = super().output_embedding()
        return found if self.scale == 1 else found._replace(features=Scaled(self.scale))

    def _in_chunks(self, hidden: Tensor) -> bool:
        if self.chunked is not None or self.cap is not None:
            return bool(self.chunked)
        bytes_ = HELD * 4 * hidden.shape[:-1].numel() * self.cells.size
        return torch.is_grad_enabled() and bool(bytes_ > SHARE * memory_of(hidden.device))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch's
def memory_of(device: torch.device) -> float:
    """Returns the bytes of memory that a device has in all, infinite where it is not known."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return math.inf


def number_of_logits(cells: Tokens | Bins) -> int:
    """Counts the logits of one prediction: cells times components of a vector."""
    return math.prod(cells.shape) * cells.size
