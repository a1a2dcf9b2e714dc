"""PrunedHead: a linear read-out of some dimensions of the hidden state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from components.heads.linear import LogitsHead, number_of_logits
from components.supports import Support


class PrunedHead(LogitsHead):
    """Reads one logit per cell from `kept` dimensions of the hidden state, and ignores the others.

    It is what `overtone prune` leaves of a linear head: `(dim - kept)` weights less for each cell,
    and as much less work. Which dimensions are read is stored beside the weights. A model that is
    trained from the start reads the first ones, for then no dimension differs from another:
    `--model.head PrunedHead --model.head.kept 90`.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted.
        kept: How many dimensions are read, from 1 to `dim`.
        bias: Whether each logit has a learned constant.

    Raises:
        ValueError: If `kept` is out of range.

    Source: Cho et al., "Understanding Token Probability Encoding in Output Embeddings"
        (arXiv:2406.01468), on deleting dimensions; they set columns to zero.

    Example:
        >>> import torch
        >>> from components.supports import Tokens
        >>> head = PrunedHead(dim=8, support=Tokens(50), kept=6)
        >>> head(torch.zeros(2, 3, 8)).logits.shape, head.output_embedding().weight.shape
        (torch.Size([2, 3, 50]), torch.Size([50, 6]))
    """

    def __init__(self, dim: int, support: Support, kept: int, bias: bool = False) -> None:
        if not 1 <= kept <= dim:
            raise ValueError(
                f"PrunedHead: kept={kept} of {dim} dimensions; keep at least 1 and at most {dim}."
            )
        cells = support.divide(None)
        readout = nn.Linear(kept, number_of_logits(cells), bias)
        super().__init__(support, cells, nn.Sequential(Selection(dim, kept), readout))
        self.kept = kept

    def tie(self, table: nn.Embedding, specials: int = 0) -> None:
        """Refuses to read out with an embedding, whose vectors have all dimensions."""
        raise ValueError(
            f"PrunedHead reads out with {self.kept} dimensions of its own choice, the embedding "
            f"has vectors of width {table.embedding_dim}; choose LinearHead, or drop tied."
        )


class Selection(nn.Module):
    """Reads `kept` of `dim` dimensions, the first ones until another choice is stored in `index`.

    The choice is part of a state dictionary, for it belongs to the weights that read what is left.

    Args:
        dim: Width of a state.
        kept: How many dimensions are read, from 1 to `dim`.

    Raises:
        ValueError: If `kept` is out of range.

    Example:
        >>> Selection(dim=4, kept=2)(torch.tensor([5.0, 6.0, 7.0, 8.0]))
        tensor([5., 6.])
    """

    index: Tensor

    def __init__(self, dim: int, kept: int) -> None:
        super().__init__()
        if not 1 <= kept <= dim:
            raise ValueError(
                f"Selection: kept={kept} of {dim} dimensions; keep at least 1 and at most {dim}."
            )
        self.register_buffer("index", torch.empty(kept, dtype=torch.int64))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Chooses the first dimensions, also after the module was made without memory."""
        torch.arange(len(self.index), out=self.index)

    def forward(self, states: Tensor) -> Tensor:
        """Selects from `[..., dim]`, to `[..., kept]`."""
        return states.index_select(-1, self.index)
