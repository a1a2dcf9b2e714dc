"""How matrices lie in memory: column by column where passes read one example or two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from components.layers.readout import TiedLinear

FEW = 2  # examples up to which products read matrices faster column by column


def lay_out_by_columns(model: nn.Module, examples: int) -> None:
    """Lays out matrices of more rows than columns column by column, on a CPU in float32.

    The product of such a matrix with one vector or two, as in a step of a generation, takes as
    long as its entries take to be read: for 50,257 rows of 256 entries, column by column, .23 to
    .38 of the time that it takes row by row (AMD EPYC with AVX2). With many vectors neither is
    faster throughout, so that nothing is done for more than two examples. Values stay as they are,
    and one matrix at a time is copied.

    Tables whose vectors are looked up stay, unless a head reads out with them.

    Args:
        model: A model that is only evaluated: layouts change the last bits of its products, and
            states of optimizers keep the old ones.
        examples: How many examples its passes read together.
    """
    if examples > FEW:
        return
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
