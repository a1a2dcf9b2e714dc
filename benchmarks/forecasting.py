"""Cost of forecasts by sampled paths, relative to a training step of the same model.

The model is that of the recipe `quickstart`. A step is the gradient of the mean negative
log-likelihood of its batch; against it stand a hundred paths of each of sixteen series, drawn
together as `overtone forecast` draws them. Both take turns in one process, in float32 on one
thread, and the figure is the ratio of the medians of their processor time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.fourier import Step, ratio
from benchmarks.scoreboard import Figure, report
from components import Backbone, Decoder, FourierHead, Head, Interval, SeriesStem, Stem
from components.data import SeriesBatch, SeriesSpec
from framework.evaluation.forecasting import Paths, sample_paths

SPEC = SeriesSpec(Interval(-1.0, 5.0), context=72, horizon=18, season=12)
LAGS = (2, 3, 12, 13, 24, 36)
TRAINED, DRAWN = 64, 16  # series at once
PADDED = 10  # steps in front of every other series
PATHS = Paths(samples=100, at_once=100)

Parts = tuple[Stem, Backbone, Head]


def parts() -> Parts:
    """Builds stem, backbone and head of the recipe."""
    backbone = Decoder(dim=64, depth=2, heads=4)
    stem = SeriesStem(backbone.dim, SPEC, LAGS)
    return stem, backbone, FourierHead(backbone.dim, SPEC.support, frequencies=128)


def series(size: int) -> SeriesBatch:
    """Makes random series, half of them padded."""
    observed = torch.ones(size, SPEC.context, dtype=torch.bool)
    observed[::2, :PADDED] = False
    return SeriesBatch(
        past=torch.rand(size, SPEC.context) * observed,
        observed=observed,
        loc=torch.zeros(size, 1),
        scale=torch.ones(size, 1),
        error=torch.ones(size, 1),
        target=torch.rand(size, SPEC.horizon),
        weight=torch.ones(size, SPEC.horizon),
    )


def training(stem: Stem, backbone: Backbone, head: Head) -> Step:
    """Makes a step of training, without that of the optimizer."""
    batch, modules = series(TRAINED), torch.nn.ModuleList([stem, backbone, head])

    def step() -> Tensor:
        modules.zero_grad()
        loss: Tensor = -head(stem.readout(backbone(stem(batch)))).log_prob(batch.target).mean()
        loss.backward()  # type: ignore[no-untyped-call] # torch's
        return loss

    return step


def drawing(stem: Stem, backbone: Backbone, head: Head) -> Step:
    """Makes a step that draws all paths of some series."""
    batch = series(DRAWN)

    @torch.no_grad()
    def step() -> Tensor:
        return sample_paths(stem, backbone, head, batch, PATHS, seed=0)

    return step


def figures() -> Iterator[Figure]:
    """Measures the time of drawing."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = parts()
    cost = ratio(drawing(*model), training(*model), 9)
    yield Figure("paths_of_16_series_over_a_step_of_64", cost, "<=", 4.5)


if __name__ == "__main__":
    report(figures())
