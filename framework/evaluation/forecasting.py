"""Forecasts series by sampling paths: each value is drawn, then read as the past of the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from components.data import SeriesBatch
from components.interfaces import Backbone, Cache, Embedded, Head, Stem
from framework.evaluation.randomness import seeded


@dataclass(frozen=True)
class Paths:
    """How many futures are drawn of each series.

    Args:
        samples: Futures per series, at least 1; quantiles are those of the samples.
        at_once: Futures per series that are drawn together, at least 1; fewer need less memory.
        in_validation: Whether to draw them in validation too and not only in tests; forecasts then
            take most of the time of a validation.
        seed: Seed of the draws.

    Raises:
        ValueError: If nothing would be drawn.
    """

    samples: int = 100
    at_once: int = 10
    in_validation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.at_once < 1:
            raise ValueError(
                f"Paths draws nothing with samples={self.samples}, at_once={self.at_once}; "
                "use at least 1 of each."
            )


torch.serialization.add_safe_globals([Paths])
PATHS = Paths()
"""A hundred futures, in tests only."""


def sample_paths(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    batch: SeriesBatch,
    paths: Paths,
    seed: int,
) -> Tensor:
    """Draws paths from the joint law of the horizon; `batch.target` is not read.

    The context is read once per series; its cache is then repeated for every path. The number of
    forward passes does not depend on the batch, so it is the same on all ranks.

    Args:
        stem: Embeds series; state h depends on targets before h only.
        backbone: Reads context and states, causally.
        head: Predicts the scaled values `(value - loc) / scale`.
        batch: Series to forecast.
        paths: How many to draw, and how many at once; its own seed is not used.
        seed: Seed of the draws; the global generators are left as they were.

    Returns:
        Paths in the series' own units, `[B, paths.samples, H]`.
    """
    weight = torch.ones_like(batch.weight)  # what is drawn is known, whatever the data know
    blank = batch._replace(target=torch.zeros_like(batch.target), weight=weight)
    inputs = stem(blank)
    past = 0 if inputs.context is None else inputs.context.shape[1]
    cache = backbone.new_cache(len(batch.past), past + inputs.states.shape[1])
    with seeded(seed, batch.past.device):
        first = head(stem.readout(backbone(_state(inputs, 0), cache))[:, 0])
        parts = []
        for start in range(0, paths.samples, paths.at_once):
            count = min(paths.at_once, paths.samples - start)
            value = first.sample(torch.Size([count])).T.flatten()
            copies = SeriesBatch(*(field.repeat_interleave(count, dim=0) for field in blank))
            drawn = _continue(stem, backbone, head, copies, cache.repeat(count), value)
            parts.append(drawn.view(-1, count, drawn.shape[1]))
    return torch.cat(parts, dim=1)


def _continue(
    stem: Stem, backbone: Backbone, head: Head, batch: SeriesBatch, cache: Cache, value: Tensor
) -> Tensor:
    """Draws the rest of paths `[N, H]` whose first scaled values `[N]` are known."""
    paths = batch.target
    for h in range(paths.shape[1]):
        if h > 0:
            state = _state(stem(batch._replace(target=paths)), h)
            new = state._replace(context=None, context_mask=None)
            value = head(stem.readout(backbone(new, cache))[:, 0]).sample()
        paths[:, h] = batch.loc[:, 0] + batch.scale[:, 0] * value
    return paths


def _state(inputs: Embedded, h: int) -> Embedded:
    """Selects one state, with the context."""
    mask = None if inputs.mask is None else inputs.mask[:, h : h + 1]
    return inputs._replace(states=inputs.states[:, h : h + 1], mask=mask)
