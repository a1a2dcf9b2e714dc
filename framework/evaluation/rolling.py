"""Samples paths of any length: beyond a horizon every path continues from its own values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from components.data import SeriesBatch
from components.interfaces import Backbone, Head, Stem
from framework.data.series.scaling import Scaling
from framework.data.series.windows import batch_of
from framework.evaluation.forecasting import Paths, sample_paths


def roll_forward(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    batch: SeriesBatch,
    paths: Paths,
    horizon: int,
    scaling: Scaling,
) -> Tensor:
    """Draws paths of `horizon` steps from a model that was trained on those of the batch.

    The first steps are drawn as in training. Then each path is a series of its own: what was drawn
    joins its past, the oldest steps leave it, it is scaled anew, and the next steps are drawn. So
    no position is later than in training, and the spread of the paths grows with their past.

    Args:
        stem: Embeds series; state h depends on targets before h only.
        backbone: Reads context and states, causally.
        head: Predicts the scaled values `(value - loc) / scale`.
        batch: Series to forecast, with targets of the horizon in training, which are not read.
        paths: How many to draw, how many at once, and the seed.
        horizon: Steps to draw, at least 1.
        scaling: Computes location and scale of a past, as in training.

    Returns:
        Paths in the series' own units, `[B, paths.samples, horizon]`.
    """
    window = batch.target.shape[1]
    parts = (stem, backbone, head)
    drawn = sample_paths(*parts, _until(batch, min(horizon, window)), paths, _seed(paths.seed, 0))
    past = batch.past.repeat_interleave(paths.samples, 0)
    observed = batch.observed.repeat_interleave(paths.samples, 0)
    known = drawn.flatten(0, 1)  # [B * samples, H so far]
    rows = len(batch.past) * paths.at_once
    while (done := known.shape[1]) < horizon:
        size = min(window, horizon - done)
        new = [
            sample_paths(
                *parts,
                _continued(past[some], observed[some], known[some], size, scaling),
                replace(paths, samples=1),
                _seed(paths.seed, done, some.start),
            )
            for some in (slice(k, k + rows) for k in range(0, len(known), rows))
        ]
        known = torch.cat((known, torch.cat(new)[:, 0]), 1)
    return known.view(len(batch.past), paths.samples, horizon)


def _until(batch: SeriesBatch, size: int) -> SeriesBatch:
    """Shortens the horizon."""
    return batch._replace(target=batch.target[:, :size], weight=batch.weight[:, :size])


def _continued(
    past: Tensor, observed: Tensor, drawn: Tensor, size: int, scaling: Scaling
) -> SeriesBatch:
    """Moves pasts `[N, C]` to the end of what was drawn after them, `[N, H]`."""
    context, device = past.shape[1], past.device
    values = torch.cat((past, drawn.to(past.dtype)), 1)[:, -context:]
    there = torch.cat((observed, torch.ones_like(drawn, dtype=torch.bool)), 1)[:, -context:]
    exact, blank = values.cpu().numpy(), np.zeros((len(past), size))
    moved = batch_of(
        exact.astype(np.float64),
        there.cpu().numpy(),
        blank,
        blank > 0,
        np.zeros(len(past)),
        scaling,
        exact.dtype,
    )
    return SeriesBatch(*(field.to(device) for field in moved))


def _seed(*numbers: int) -> int:
    """Mixes numbers to a seed, so that draws of different parts are independent."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
