"""BinnedSeriesStem: reads each value of a series as a word, the cell that it falls into."""

from __future__ import annotations

import torch
from torch import Tensor

from components.data import SeriesBatch, SeriesSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding
from components.stems.kinds import require
from components.supports import Binning

START_STD = 0.05  # Ansari et al.: T5 starts from normals of spread 1, theirs are scaled by this
SPECIALS = 2  # unknown and begin, numbered after the cells


class BinnedSeriesStem(Stem):
    r"""Looks up a learned vector for the cell of each scaled value, as Chronos does.

    .. math:: \mathrm{context}_t = E[\mathrm{cell}((x_t - \mathrm{loc}) / \mathrm{scale})], \quad
              \mathrm{state}_h = E[\mathrm{cell}((y_{h-1} - \mathrm{loc}) / \mathrm{scale})]

    State h predicts target h and reads the one before it; the first reads a vector that begins.
    Values that are missing have a vector of their own; context before the first known value is
    padding. Values beyond the support read as its end cells.

    There is no word for the end of a series, with which Chronos lets every window end: the length
    of a forecast is known, outcomes stay values, and no head spends probability on it.

    Args:
        dim: Width of the states.
        spec: Facts of the panel.
        bins: Cells that the scaled values are divided into, 4094 if not given, or a binning. The
            head may have others.

    Raises:
        ValueError: If the support cannot be divided so, or the data are not series.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 3.1.
    """

    reach = 1

    def __init__(self, dim: int, spec: SeriesSpec, bins: int | Binning = 4094) -> None:
        super().__init__()
        self.cells = require(SeriesSpec, spec).support.divide(bins)
        self.unknown, self.begin = self.cells.size, self.cells.size + 1
        self.table = Embedding(self.cells.size + SPECIALS, dim, std=START_STD)

    def forward(self, batch: SeriesBatch) -> Embedded:
        """Embeds a past `[B, C]` as context `[B, C, D]`, a target `[B, H]` as states `[B, H, D]`.

        Both are in the precision of the parameters.
        """
        past = self._words(batch, batch.past, batch.observed)
        before = self._words(batch, batch.target, batch.weight > 0)[:, :-1]
        first = torch.full_like(past[:, :1], self.begin)
        return Embedded(
            states=self.table(torch.cat((first, before), 1)),
            context=self.table(past),
            context_mask=batch.observed.cumsum(1) > 0,
        )

    def _words(self, batch: SeriesBatch, values: Tensor, known: Tensor) -> Tensor:
        """Numbers values `[B, N]` by their cells, int64 `[B, N]`."""
        index = self.cells.index((values - batch.loc) / batch.scale)
        return torch.where(known, index, self.unknown)
