"""Selection: some dimensions of a state, the others left out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
