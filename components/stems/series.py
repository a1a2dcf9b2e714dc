"""SeriesStem: embeds the past of a series as context, and a value to forecast by those before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from components.data import SeriesBatch, SeriesSpec
from components.interfaces import Embedded, Stem
from components.stems.kinds import require


class SeriesStem(Stem):
    r"""Describes each time by scaled values before it, at chosen lags, and whether they are known.

    .. math:: u_t = \mathrm{asinh}((x_t - \mathrm{loc}) / \mathrm{scale}), \quad
              \mathrm{state}_t = W (u_{t - l}, \mathrm{known}_{t - l})_l + b

    State h predicts target h, so it reads target h - 1 (lag 1), the value one season earlier, and
    so on; a path that is being sampled is therefore read one value at a time. The context are the
    same features for every time of the past, through a matrix of their own. Unknown values count
    as zero and are marked: missing ones, ones before the window and those of the future that weigh
    nothing. Context before the first known value is padding.

    Args:
        dim: Width of the states.
        spec: Facts of the panel.
        lags: How many steps back to look, each from 1 to the length of the context; by default one
            season and two. The last value (lag 1) is always read.

    Raises:
        ValueError: If a lag is out of range, or the data are not series.

    Source: scaled values and lags as features of an autoregressive model: Salinas et al., "DeepAR"
    (arXiv:1704.04110), section 3.
    """

    def __init__(self, dim: int, spec: SeriesSpec, lags: Sequence[int] | None = None) -> None:
        super().__init__()
        facts = require(SeriesSpec, spec)
        if lags is None:
            lags = [lag for lag in (facts.season, 2 * facts.season) if lag <= facts.context]
        outside = [lag for lag in lags if not 1 <= lag <= facts.context]
        if outside:
            raise ValueError(
                f"SeriesStem cannot look lags={outside} steps back; choose lags from 1 to the "
                f"length of the context, {facts.context}."
            )
        self.lags = sorted({1, *lags})
        self.reach = self.lags[-1]
        self.past = nn.Linear(2 * len(self.lags), dim)
        self.future = nn.Linear(2 * len(self.lags), dim)

    def forward(self, batch: SeriesBatch) -> Embedded:
        """Embeds a past `[B, C]` as context `[B, C, D]`, a target `[B, H]` as states `[B, H, D]`.

        Both are in the precision of the parameters, so that autocast does not round the stream
        that blocks add to.
        """
        length, dtype = batch.past.shape[1], self.past.weight.dtype
        values = torch.cat((batch.past, batch.target), 1)
        known = torch.cat((batch.observed, batch.weight > 0), 1)
        scaled = ((values - batch.loc) / batch.scale).asinh()
        features = self._look_back(torch.where(known, scaled, 0.0), known)
        features = features.to(dtype)
        return Embedded(
            states=self.future(features[:, length - 1 :]).to(dtype),
            context=self.past(features[:, :length]).to(dtype),
            context_mask=batch.observed.cumsum(1) > 0,
        )

    def _look_back(self, scaled: Tensor, known: Tensor) -> Tensor:
        """Collects what is known before times 1 to N - 1 of series `[B, N]`: `[B, N - 1, 2L]`."""
        reach, size = self.lags[-1], scaled.shape[1]
        both = pad(torch.stack((scaled, known.to(scaled.dtype)), -1), (0, 0, reach, 0))
        return torch.cat([both[:, reach - lag + 1 : reach - lag + size] for lag in self.lags], -1)
