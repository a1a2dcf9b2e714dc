"""Features of covariates, which stems of series add to their states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from components.data import Covariate


class CovariateFeatures(nn.Module):
    r"""Maps standardized covariates, and whether they are known, to the width of states.

    .. math:: W \, [(v - \mathrm{mean}) / \mathrm{std}, \; \mathrm{known}]

    Args:
        dim: Width of the states.
        covariates: The columns, with mean and standard deviation of each.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, covariates: Sequence[Covariate]) -> None:
        super().__init__()
        for name in ("mean", "std"):
            numbers = torch.tensor([getattr(column, name) for column in covariates])
            self.register_buffer(name, numbers)
        self.projection = nn.Linear(2 * len(covariates), dim, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Maps covariates `[B, N, F]`, NaN where unknown, to features `[B, N, D]`."""
        known = ~values.isnan()
        scaled = torch.where(known, (values - self.mean) / self.std, 0.0)
        weight: Tensor = self.projection.weight
        features = torch.cat((scaled, known.to(scaled.dtype)), -1).to(weight.dtype)
        projected: Tensor = self.projection(features)
        return projected.to(weight.dtype)
