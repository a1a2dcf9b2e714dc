"""Samples whole horizons from models that predict all of their steps at once."""

from __future__ import annotations

import torch
from torch import Tensor

from components.data import CovariateBatch, SeriesBatch
from components.interfaces import Backbone, Head, Stem
from framework.evaluation.randomness import seeded


def sample_horizons(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    batch: SeriesBatch | CovariateBatch,
    samples: int,
    at_once: int,
    seed: int,
) -> Tensor:
    r"""Draws paths that each follow one level of the predicted quantiles; no target is read.

    The model predicts a distribution F_h of each step, and not how steps depend on each other.
    Path n is :math:`x_h = F_h^{-1}(u_n)`: its steps are as dependent as they can be, and those of
    all paths follow F_h. The levels u are spread evenly, one drawn in each of as many equal parts
    of [0, 1] as there are paths, so that quantiles of a hundred paths nearly are those of F_h.

    Args:
        stem: Embeds series; one state predicts the horizon.
        backbone: Reads context and state.
        head: Predicts the scaled values `(value - loc) / scale`.
        batch: Series to forecast.
        samples: Paths of each series.
        at_once: Paths of each series that are computed together.
        seed: Seed of the draws; the global generators are left as they were.

    Returns:
        Paths in the series' own units, `[B, samples, H]`.
    """
    horizon = batch.target.shape[1]
    prediction = head(stem.readout(backbone(stem(batch)))[:, :horizon])
    with seeded(seed, batch.past.device):
        levels = _levels(len(batch.past), samples, batch.past.device)
    parts = [prediction.icdf(some) for some in torch.split(levels, at_once)]
    scaled = torch.cat(parts)  # [samples, B, H]
    return batch.loc.unsqueeze(1) + batch.scale.unsqueeze(1) * scaled.movedim(0, 1)


def _levels(series: int, samples: int, device: torch.device) -> Tensor:
    """Draws a level in each of equal parts of [0, 1], in random order, `[samples, series, 1]`."""
    order = torch.rand(samples, series, device=device).argsort(0)
    levels = (order + torch.rand(samples, series, device=device)) / samples
    least = torch.finfo(levels.dtype).eps
    return levels.clamp(least, 1 - least).unsqueeze(-1)
