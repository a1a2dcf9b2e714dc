"""Linear probes: how well quantities can be predicted from the hidden states of each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framework.analysis.processes import exact, total
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


class Probe:
    r"""Regresses outputs on an input linearly, with sums of products instead of the examples.

    .. math:: \min_{W, b} \sum_{n \in \text{fitted}} |y_n - W x_n - b|^2 + \text{ridge} \, |W|^2,
              \qquad R^2 = 1 - \frac{\sum (y_n - W x_n - b)^2}{\sum (y_n - \bar y)^2}

    where the sums of R², and the mean in them, run over the examples that were not fitted.

    Args:
        ridge: Penalty of the coefficients, positive; the constant is free.

    Raises:
        ValueError: If `ridge` is not positive.
    """

    def __init__(self, ridge: float = RIDGE) -> None:
        if not ridge > 0:
            raise ValueError(
                f"Probe: ridge={ridge} is not positive, and states may be collinear; use a small "
                "positive number."
            )
        self.ridge = ridge
        self._outputs = 0
        self._products: Tensor | None = None  # [2, C, C] of columns (1, x, y): others, fitted

    def add(self, inputs: Tensor, outputs: Tensor, fitted: Tensor) -> None:
        """Adds examples.

        Args:
            inputs: `[N, D]`.
            outputs: `[N, K]`.
            fitted: Whether the coefficients are fitted to an example, `[N]` bool; the others
                are held out.
        """
        x, y = exact(inputs), exact(outputs)
        rows = torch.cat((torch.ones_like(x[:, :1]), x, y), 1)
        halves = [rows[~fitted.to(rows.device)], rows[fitted.to(rows.device)]]
        products = torch.stack([half.T @ half for half in halves])
        self._outputs = y.shape[1]
        self._products = products if self._products is None else self._products + products

    def scores(self) -> Tensor:
        """Returns R² of each output on the held-out examples, `[K]` float64.

        It is `nan` where an output is constant there, and negative where its mean is closer.

        Raises:
            ValueError: If either half has no examples.
        """
        assert self._products is not None
        others, fitted = total(self._products)
        counts = others[0, 0].item(), fitted[0, 0].item()
        if not min(counts):
            raise ValueError(
                f"Probe: {counts[1]:.0f} positions to fit and {counts[0]:.0f} held-out ones are "
                "too few; give more sequences, or an earlier first position."
            )
        errors = self._residuals(fitted)  # [C, K]
        squares = (errors * (others @ errors)).sum(0)
        variance = _centered(others).diagonal()[-self._outputs :]
        return torch.where(variance > 0, 1 - squares / variance, torch.nan)

    def _residuals(self, products: Tensor) -> Tensor:
        """Returns y - W x - b as a combination of the columns (1, x, y): `[C, K]`."""
        inputs = len(products) - self._outputs
        centered = _centered(products)
        values, vectors = torch.linalg.eigh(centered[: inputs - 1, : inputs - 1])
        inverse = vectors / (values.clamp(min=0) + self.ridge) @ vectors.T
        slopes = inverse @ centered[: inputs - 1, inputs - 1 :]  # [D, K]
        means = products[0, 1:] / products[0, 0]
        constant = means[inputs - 1 :] - means[: inputs - 1] @ slopes
        unit = torch.eye(self._outputs, dtype=slopes.dtype, device=slopes.device)
        return torch.cat((-constant[None], -slopes, unit))


def _centered(products: Tensor) -> Tensor:
    """Returns sums of products of the columns (x, y) less their means, from those of (1, x, y)."""
    sums, count = products[0, 1:], products[0, 0]
    return products[1:, 1:] - sums[:, None] * sums / count


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
        ridge: Penalty of the coefficients.

    Raises:
        ValueError: If the backbone has no states of each layer, the data have no quantities, or
            too few positions are left.

    Source: Wu, Morris, Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859), section 4; there R² is not centered.
    """
    module.eval()
    names: list[str] = []
    probes: list[Probe] = []
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
        probes = probes or [Probe(ridge) for _ in layers]
        for probe, hidden in zip(probes, layers, strict=True):
            probe.add(hidden[counted], outputs[counted], fitted[counted])
    return ProbeScores(names, torch.stack([probe.scores().cpu() for probe in probes]))
