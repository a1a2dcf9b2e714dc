"""Linear probes: how well quantities can be predicted from the hidden states of each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framework.analysis.least_squares import LeastSquares
from framework.analysis.sample import Sample
from framework.analysis.states import hidden_states
from framework.modules.base import PredictiveModule

RIDGE = 1e-4
"""Penalty of Wu et al. (arXiv:2404.00859), section 4."""

Regressors = Callable[[Any], Mapping[str, Tensor]]
"""Returns quantities of a batch by name, `[B, T]` each."""


class ProbeScores(NamedTuple):
    """R² of probes, by layer and quantity."""

    names: list[str]  # of K quantities
    r2: Tensor  # [L + 1, K] float64: explained fraction of the variance; layer 0 is the embedding


def probe_layers(
    module: PredictiveModule,
    sample: Sample,
    regressors: Regressors,
    first: int = 0,
    ridge: float = RIDGE,
) -> ProbeScores:
    """Probes every layer for quantities that the data know, pooled over positions.

    The first half of the sample is fitted, the second half is held out. Positions of weight 0 are
    left out.

    Args:
        module: The model, built; it is set to evaluation mode.
        sample: The examples.
        regressors: Returns the quantities.
        first: First position that is used.
        ridge: Penalty of the coefficients, at least 0.

    Raises:
        ValueError: If the backbone has no states of each layer, the data have no quantities, too
            few positions are left, or `ridge` is negative.

    Source: Wu, Morris, Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859), section 4; there R² is not centered.
    """
    if not ridge >= 0:
        raise ValueError(f"probe_layers: ridge={ridge} is negative; use 0 or a positive number.")
    module.eval()
    names: list[str] = []
    probes: list[tuple[LeastSquares, LeastSquares]] = []  # of each layer, fitted and held out
    for numbers, batch in sample:
        known = regressors(batch)
        names = list(known)
        if not names:
            raise ValueError("The data name no regressors; choose data that name some.")
        outputs = torch.stack([known[name] for name in names], -1)  # [B, T, K]
        counted = batch.weight > 0
        counted[:, :first] = False
        fitted = (numbers < sample.size // 2).to(counted.device)[:, None].expand_as(counted)
        layers = hidden_states(module, batch)
        if not probes:
            size = layers[0].shape[-1], len(names)
            probes = [(LeastSquares(*size), LeastSquares(*size)) for _ in layers]
        for halves, hidden in zip(probes, layers, strict=True):
            for half, chosen in zip(halves, (counted & fitted, counted & ~fitted), strict=True):
                half.add(hidden[chosen], outputs[chosen])
    return ProbeScores(names, torch.stack([held_out_r2(*halves, ridge) for halves in probes]))


def held_out_r2(fitted: LeastSquares, held_out: LeastSquares, ridge: float) -> Tensor:
    r"""Computes how well a linear fit predicts rows that it was not fitted to.

    .. math:: \min_{W, b} \sum_{n \in \text{fitted}} |y_n - W x_n - b|^2 + \text{ridge} \, |W|^2,
              \qquad R^2 = 1 - \frac{\sum (y_n - W x_n - b)^2}{\sum (y_n - \bar y)^2}

    where the sums of R², and the mean in them, run over the rows that are held out.

    Args:
        fitted: Rows of this process to fit.
        held_out: Rows of this process to predict.
        ridge: Penalty, at least 0; the constant is free.

    Returns:
        R² of each output over all processes, `[K]` float64 on the CPU: `nan` where an output is
            constant, and negative where its mean is closer.

    Raises:
        ValueError: If there are no rows of either kind.
    """
    fitted, held_out = fitted.over_processes(), held_out.over_processes()
    if not min(fitted.count, held_out.count):
        raise ValueError(
            f"A probe has {fitted.count} positions to fit and {held_out.count} held-out ones, "
            "which are too few; give more sequences, or an earlier first position."
        )
    fit = fitted.fit(ridge, torch.ones_like(fitted.norms))
    left, variation = held_out.residuals(fit), held_out.variation
    return torch.where(variation > 0, 1 - left / variation, torch.nan).cpu()
