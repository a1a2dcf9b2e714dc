"""The stem of long series: the past in patches, and one state that predicts the whole horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from components.data import SeriesBatch, SeriesSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import require_positive
from components.stems.specs import require

FACTS = 2  # numbers that say what the scaling takes away


class PatchStem(Stem):
    r"""Embeds the past of a series in patches, and reads the whole horizon off one state.

    .. math:: u_t = \mathrm{asinh}((x_t - \mathrm{loc}) / \mathrm{scale}), \quad
              \mathrm{context}_k = f(u_{kp}, \dots, u_{kp + p - 1},
              \mathrm{known}_{kp}, \dots, \mathrm{facts})

    A past of C steps is C/p positions, so that long pasts are cheap. Values that are missing, or
    before the window, are zero and marked; patches before the first known value are padding. The
    facts are what the scaling takes away: the mean of the past in scaled units, and the scale
    relative to that mean. f is a network of one hidden layer beside a linear map.

    The one state reads no value of the future, and predicts a distribution of each: what steps of
    the future have in common is not modeled. Paths that are drawn follow one level of the
    quantiles through the horizon, which makes those of each step right. A longer horizon than that
    of training is forecast from the end of each path.

    Args:
        dim: Width of the states.
        spec: Facts of the panel.
        patch: Steps of the past in a position, p; the context is padded to a multiple of it.
        features: Width of what the state says of each step, before it is widened for the head.

    Raises:
        ValueError: If a size is below 1, the data have covariates, or are not series.

    Source: patches: Nie et al., "A Time Series is Worth 64 Words" (arXiv:2211.14730), section 3.1;
        a mask beside the values and output patches that are longer than those of the input: Das et
        al., "A decoder-only foundation model for time-series forecasting" (arXiv:2310.10688).
    """

    autoregressive = False

    def __init__(self, dim: int, spec: SeriesSpec, patch: int = 6, features: int = 32) -> None:
        super().__init__()
        require(spec, SeriesSpec)
        require_positive("PatchStem", patch=patch, features=features)
        if spec.covariates:
            raise ValueError(
                f"PatchStem reads no covariates, but the data have "
                f"{', '.join(column.name for column in spec.covariates)}; choose SeriesStem, or "
                "drop known, past and static."
            )
        self.patch, self.horizon = patch, spec.horizon
        inputs, hidden = 2 * patch + FACTS, 2 * dim
        self.linear = nn.Linear(inputs, dim)
        self.network = nn.Sequential(
            nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, dim, bias=False)
        )
        self.query = nn.Linear(FACTS, dim)
        self.steps = nn.Linear(dim, spec.horizon * features)
        self.widen = nn.Linear(features, dim)

    def forward(self, batch: SeriesBatch) -> Embedded:
        """Embeds a past `[B, C]` as context `[B, C/p, D]`, and the horizon as a state `[B, 1, D]`.

        Both are in the precision of the parameters, so that autocast does not round the stream
        that blocks add to.
        """
        dtype = self.query.weight.dtype
        facts = _facts(batch).to(dtype).unsqueeze(1)
        scaled = torch.where(batch.observed, (batch.past - batch.loc) / batch.scale, 0.0).asinh()
        values, known = self._cut(scaled), self._cut(batch.observed)
        patches = torch.cat(
            (values.to(dtype), known.to(dtype), facts.expand(-1, values.shape[1], -1)), -1
        )
        return Embedded(
            self.query(facts).to(dtype),
            context=(self.linear(patches) + self.network(patches)).to(dtype),
            context_mask=known.any(-1).cumsum(1) > 0,
        )

    def readout(self, hidden: Tensor) -> Tensor:
        """Turns the state `[B, 1, D]` into one for each step of the horizon, `[B, H, D]`."""
        each: Tensor = self.steps(hidden[:, 0]).unflatten(-1, (self.horizon, -1))
        states: Tensor = self.widen(gelu(each))
        return states

    def _cut(self, steps: Tensor) -> Tensor:
        """Cuts a past `[B, C]` into patches `[B, C/p, p]`, padded at its beginning."""
        whole = pad(steps, (-steps.shape[1] % self.patch, 0))
        return whole.view(len(steps), -1, self.patch)


def _facts(batch: SeriesBatch) -> Tensor:
    """Computes the mean of the past in scaled units, and the relative scale, `[B, 2]`."""
    count = batch.observed.sum(1, keepdim=True).clamp(min=1)
    scaled = torch.where(batch.observed, (batch.past - batch.loc) / batch.scale, 0.0)
    middle = scaled.sum(1, keepdim=True) / count
    mean = (batch.loc + batch.scale * middle).abs()
    return torch.cat((middle.asinh(), batch.scale / (batch.scale + mean)), 1)
