"""The linear head: the usual read-out, against which others are measured."""

from __future__ import annotations

from torch import nn

from components.heads.logits import LogitsHead, number_of_logits
from components.supports import Binning, Support


class LinearHead(LogitsHead):
    """Reads one logit per cell from the hidden state, and nothing ties one cell to the next.

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
