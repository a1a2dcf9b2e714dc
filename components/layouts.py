"""How matrices lie in memory: column by column for passes over one position or two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from components.layers.readout import TiedLinear

FEW = 2  # vectors up to which the product reads a matrix faster column by column


def lay_out_by_columns(model: nn.Module) -> None:
    """Lays out matrices of more rows than columns column by column, on a CPU in float32.

    The product of such a matrix with one vector or two, as in a step of a generation, takes as
    long as its entries take to be read. Row by row, kernels read many short rows at once; column
    by column one long stream, which took a quarter of the time for 50,257 rows of 256 entries (AMD
    EPYC with AVX2). With four vectors or more it makes no difference. Values stay as they are, and
    one matrix at a time is copied.

    Tables whose vectors are looked up stay, unless a head reads out with them.

    Args:
        model: A model that is only evaluated: layouts change the last bits of its products, and
            states of optimizers keep the old ones.
    """
    for parameter in _of_products(model):
        plain = parameter.device.type == "cpu" and parameter.dtype == torch.float32
        if plain and parameter.ndim == 2 and parameter.is_contiguous():
            rows, columns = parameter.shape
            if rows > columns:
                parameter.data = parameter.detach().t().contiguous().t()


def _of_products(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yields the parameters of all parts but those of tables that serve as tables alone."""
    for part in model.modules():
        if isinstance(part, TiedLinear):
            yield cast(nn.Parameter, part.table.weight)
        if not isinstance(part, nn.Embedding):
            yield from part.parameters(recurse=False)
