"""Stems of series: the past is context, a state reads the values before the one it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from components.data import CovariateBatch, SeriesBatch, SeriesSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding
from components.stems.covariates import CovariateFeatures
from components.stems.specs import require
from components.supports import Binning

START_STD = 0.05  # Ansari et al.: T5 starts from normals of spread 1, theirs are scaled by this
SPECIALS = {"own": 2, "chronos": 3}  # tokens that are numbered after the cells


class SeriesStem(Stem):
    r"""Embeds each time by scaled values before it, at chosen lags, and whether they are known.

    .. math:: u_t = \mathrm{asinh}((x_t - \mathrm{loc}) / \mathrm{scale}), \quad
              \mathrm{state}_t = W (u_{t - l}, \mathrm{known}_{t - l})_l + b

    State h predicts target h, so it reads target h - 1 (lag 1), the value one season earlier, and
    so on; a sampled path is therefore read one value at a time. The context has the
    same features for every time of the past, with a matrix of its own. Unknown values are
    zero and marked: missing ones, ones before the window and those of the future of weight
    zero. Context before the first known value is padding.

    Covariates of time t, where the data have some, are added to the features of values before t.

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
        require(spec, SeriesSpec)
        if lags is None:
            lags = [lag for lag in (spec.season, 2 * spec.season) if lag <= spec.context]
        outside = [lag for lag in lags if not 1 <= lag <= spec.context]
        if outside:
            raise ValueError(
                f"SeriesStem cannot read lags={outside} steps back; choose lags from 1 to the "
                f"length of the context, {spec.context}."
            )
        self.lags = sorted({1, *lags})
        self.past = nn.Linear(2 * len(self.lags), dim)
        self.future = nn.Linear(2 * len(self.lags), dim)
        self.covariates = CovariateFeatures(dim, spec.covariates) if spec.covariates else None

    def forward(self, batch: SeriesBatch | CovariateBatch) -> Embedded:
        """Embeds a past `[B, C]` as context `[B, C, D]`, a target `[B, H]` as states `[B, H, D]`.

        Both are in the precision of the parameters, so that autocast does not round the stream
        that blocks add to.

        Raises:
            ValueError: If the model reads covariates and the batch has none.
        """
        length, dtype = batch.past.shape[1], self.past.weight.dtype
        values = torch.cat((batch.past, batch.target), 1)
        known = torch.cat((batch.observed, batch.weight > 0), 1)
        features = self._look_back(_scaled(values, known, batch)).to(dtype)
        states = self.future(features[:, length - 1 :]).to(dtype)
        context = self.past(features[:, :length]).to(dtype)
        if self.covariates is not None:
            beside = self.covariates(_covariates(batch)[:, 1:])
            states, context = states + beside[:, length - 1 :], context + beside[:, :length]
        return Embedded(states, context=context, context_mask=batch.observed.cumsum(1) > 0)

    def state(self, batch: SeriesBatch | CovariateBatch, position: int) -> Embedded:
        """Embeds the state of one target alone, `[B, 1, D]`, from one value at each lag.

        Raises:
            ValueError: If the model reads covariates and the batch has none.
        """
        time, dtype = batch.past.shape[1] + position, self.future.weight.dtype
        before = [time - lag for lag in self.lags]
        values = _columns(batch.past, batch.target, before)
        known = _columns(batch.observed, batch.weight, before) > 0
        features = _scaled(values, known, batch).flatten(1).unsqueeze(1)
        states = self.future(features.to(dtype)).to(dtype)
        if self.covariates is not None:
            states = states + self.covariates(_covariates(batch)[:, time : time + 1])
        return Embedded(states)

    def _look_back(self, scaled: Tensor) -> Tensor:
        """Collects what is known before times 1 to N - 1, `[B, N, 2]` to `[B, N - 1, 2L]`."""
        reach, size = self.lags[-1], scaled.shape[1]
        both = pad(scaled, (0, 0, reach, 0))
        return torch.cat([both[:, reach - lag + 1 : reach - lag + size] for lag in self.lags], -1)


def _scaled(values: Tensor, known: Tensor, batch: SeriesBatch | CovariateBatch) -> Tensor:
    """Scales values `[B, N]`, zero where unknown, and marks the known ones: `[B, N, 2]`."""
    scaled = torch.where(known, ((values - batch.loc) / batch.scale).asinh(), 0.0)
    return torch.stack((scaled, known.to(scaled.dtype)), -1)


def _columns(past: Tensor, target: Tensor, times: Sequence[int]) -> Tensor:
    """Takes columns of a past `[B, C]` and the target `[B, H]` behind it, `[B, len(times)]`."""
    length = past.shape[1]
    taken = [past[:, t] if t < length else target[:, t - length] for t in times]
    return torch.stack([column.to(target.dtype) for column in taken], 1)


def _covariates(batch: SeriesBatch | CovariateBatch) -> Tensor:
    if not isinstance(batch, CovariateBatch):
        raise ValueError(
            "SeriesStem was built for series with covariates, but these have none; give "
            "data with the columns that it was trained on."
        )
    return batch.covariates


class BinnedSeriesStem(Stem):
    r"""Embeds each scaled value by the cell that it falls into, as Chronos does.

    .. math:: \mathrm{context}_t = E[\mathrm{cell}((x_t - \mathrm{loc}) / \mathrm{scale})], \quad
              \mathrm{state}_h = E[\mathrm{cell}((y_{h-1} - \mathrm{loc}) / \mathrm{scale})]

    State h predicts target h and reads the one before it; the first reads a start vector.
    Missing values have a vector of their own; context before the first known value is
    padding. Values beyond the support belong to its end cells.

    There is no token for the end of a series, with which every window of Chronos ends: the length
    of a forecast is known, and no head spends probability on it. With `tokens="chronos"` there is,
    as in the models that its authors have published: the context ends with it, missing values are
    hidden, and the vector of the start is that of padding, which a missing target is read as.

    Args:
        dim: Width of the states.
        spec: Facts of the panel.
        bins: Cells that the scaled values are divided into, 4094 if not given, or a binning. The
            head may have others.
        tokens: What beside cells has a vector: "own" unknown values and the start, "chronos" the
            start, the end of the context, and one more that nothing reads.

    Raises:
        ValueError: If the support cannot be divided so, the data have covariates, or are not
            series.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 3.1.
    """

    def __init__(
        self,
        dim: int,
        spec: SeriesSpec,
        bins: int | Binning = 4094,
        tokens: Literal["own", "chronos"] = "own",
    ) -> None:
        super().__init__()
        require(spec, SeriesSpec)
        if spec.covariates:
            raise ValueError(
                f"BinnedSeriesStem reads no covariates, but the data have "
                f"{', '.join(column.name for column in spec.covariates)}; choose SeriesStem, or "
                "drop known, past and static."
            )
        self.cells = spec.support.divide(bins)
        size, self.specials = self.cells.size, SPECIALS[tokens]
        published = tokens == "chronos"
        self.unknown, self.begin = (size, size) if published else (size, size + 1)
        self.end = size + 1 if published else None
        self.table = Embedding(size + self.specials, dim, std=START_STD)

    def lookup(self) -> nn.Embedding:
        """Returns the vectors of the cells, and of what stands for none; see `Stem.lookup`."""
        return self.table

    def forward(self, batch: SeriesBatch) -> Embedded:
        """Embeds a past `[B, C]` as context `[B, C, D]`, a target `[B, H]` as states `[B, H, D]`.

        Both are in the precision of the parameters.
        """
        past = self._tokens(batch, batch.past, batch.observed)
        before = self._tokens(batch, batch.target, batch.weight > 0)[:, :-1]
        first = torch.full_like(past[:, :1], self.begin)
        seen = batch.observed.cumsum(1) > 0
        if self.end is not None:
            past = pad(past, (0, 1), value=self.end)
            seen = pad(batch.observed, (0, 1), value=True)
        return Embedded(
            states=self.table(torch.cat((first, before), 1)),
            context=self.table(past),
            context_mask=seen,
        )

    def state(self, batch: SeriesBatch, position: int) -> Embedded:
        """Embeds the state of one target alone, `[B, 1, D]`, from the value before it."""
        if position == 0:
            begin = torch.full_like(batch.observed[:, :1], self.begin, dtype=torch.long)
            return Embedded(self.table(begin))
        last = slice(position - 1, position)
        known = batch.weight[:, last] > 0
        return Embedded(self.table(self._tokens(batch, batch.target[:, last], known)))

    def _tokens(self, batch: SeriesBatch, values: Tensor, known: Tensor) -> Tensor:
        """Numbers values `[B, N]` by their cells, int64 `[B, N]`."""
        index = self.cells.index((values - batch.loc) / batch.scale)
        return torch.where(known, index, self.unknown)
