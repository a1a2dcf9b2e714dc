"""Pretraining on corpora of series, and tests on benchmark sets unseen in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import DataLoader

from components.data import Batch, Benchmark, SeriesSpec
from components.supports import Interval
from framework.data.baselines import NONE, Baselines
from framework.data.mapped import MappedArray
from framework.data.module import Dataset, EndlessData
from framework.data.series.baselines import METRICS, Past, score_baselines
from framework.data.series.columns import refuse_covariates
from framework.data.series.panels import PanelSource, map_values, read_spans, store_panel
from framework.data.series.scaling import MeanScaling, Scaling
from framework.evaluation.forecasting import relative_score
from framework.papers.chronos.benchmarks import BenchmarkSet, competitions
from framework.papers.chronos.overlaps import refuse_overlaps
from framework.papers.chronos.pretraining import RandomWindows, SeriesPool

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

HELD_OUT = 10  # at most every tenth series of a corpus is for validation


@dataclass(frozen=True)
class SeriesCorpus:
    """A part of the series to pretrain on.

    Args:
        source: Where the series come from.
        weight: How often a window is drawn from them, relative to the weights of the others.

    Raises:
        ValueError: If the weight is not positive.
    """

    source: PanelSource
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(
                f"SeriesCorpus: weight={self.weight} draws no window; use a positive weight."
            )


class ZeroShotData(EndlessData):
    """Serves windows of corpora for training, and the ends of benchmark series for tests.

    Training windows are drawn anywhere in any series; no two steps see the same ones. Some series
    of each corpus are held out, and fixed windows of them validate. Each benchmark set has a test
    loader, with its own horizon and season. No recorded series that a corpus contains or is made
    from may contain the end of a benchmark series: the values are compared, up to units.

    Args:
        corpora: Series to pretrain on, under any names.
        benchmarks: Sets to test on, by the names of their metrics; monthly, quarterly and yearly
            series of M1 and M3, monthly and quarterly ones of Tourism if not given.
        context: Steps of the past that a model sees.
        horizon: Steps to forecast in training; benchmark sets may require fewer.
        shortest_past: Fewest steps before a training future.
        drop: Largest fraction of the values of a training window that is dropped.
        scaling: Scales a window by its observed past; by the mean absolute value if not given.
        interval: Bounds of the scaled values `(value - loc) / scale` that heads cover.
        validation: Windows of held-out series to validate on.
        limit: Number of series of each set to test on, the first ones; all if not given.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If an option is out of its range, a source cannot be read, or a corpus holds
            the end of a benchmark series, or covariates.
    """

    def __init__(
        self,
        corpora: dict[str, SeriesCorpus],
        benchmarks: dict[str, PanelSource] | None = None,
        context: int = 512,
        horizon: int = 64,
        shortest_past: int = 60,
        drop: float = 0.2,
        scaling: Scaling | None = None,
        interval: tuple[float, float] = (-15.0, 15.0),
        validation: int = 512,
        limit: int | None = None,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(**options)
        numbers = {"context": context, "horizon": horizon, "shortest_past": shortest_past}
        for name, value in {**numbers, "validation": validation, "limit": limit}.items():
            if value is not None and value < 1:
                raise ValueError(f"ZeroShotData: {name}={value} is too small; use at least 1.")
        if not 0 <= drop < 1:
            raise ValueError(f"ZeroShotData: drop={drop} is a fraction; use one in [0, 1).")
        if not corpora:
            raise ValueError("ZeroShotData has no corpora to train on; name at least one.")
        self.corpora, self.benchmarks = corpora, benchmarks or competitions()
        for source in (*(c.source for c in corpora.values()), *self.benchmarks.values()):
            refuse_covariates("ZeroShotData", source)
        self.context, self.shortest_past, self.drop = context, shortest_past, drop
        self.scaling, self.interval = scaling or MeanScaling(), Interval(*interval)
        self.validation, self.limit, self._horizon = validation, limit, horizon

    @cached_property
    def spec(self) -> SeriesSpec:
        """Facts of the windows, and the scores of the seasonal naive forecast on each set."""
        scores = {name: part.naive_scores(self.scaling) for name, part in self._sets.items()}
        benchmarks = tuple(Benchmark(name, *score) for name, score in scores.items())
        scaling = self.scaling.describe()
        return SeriesSpec(self.interval, self.context, self._horizon, 1, benchmarks, scaling)

    def dataset(self, split: str) -> Dataset:
        """Returns the windows of "train" or "val", or of a benchmark set by its name.

        Those to predict are of the first set.
        """
        if split == "predict":
            split = next(iter(self.benchmarks))
        if split not in ("train", "val"):
            return self._sets[split].windows(self.context, self.scaling)
        kept = split == "train"
        pools = [self._pool(corpus, kept) for corpus in self._clean.values()]
        window = (self.context, self._horizon, self.shortest_past)
        if kept:
            return RandomWindows(pools, *window, self.drop, self.scaling, self.seed)
        return RandomWindows(pools, *window, 0.0, self.scaling, self.seed, self.validation)

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """Makes the loaders of the examples of this process, one for each benchmark set."""
        return [self._evaluation(self.dataset(name)) for name in self.benchmarks]

    def baselines(self, split: str, batches: Sequence[float], metrics: Set[str]) -> Baselines:
        """Scores simple forecasts of each benchmark set, or from the contexts to validate on.

        Of the sets together, `mase_relative` and `wql_relative` are as `Forecaster` has them.
        """
        if split == "val":
            if metrics.isdisjoint(METRICS):
                return NONE
            windows = self.dataset(split)
            number = self._evaluated(windows, batches[0])
            return score_baselines(windows, lambda _, batch: Past.of(batch), 1, number)
        scores: dict[str, dict[str, float]] = {}
        notes = []
        for (name, part), limit in zip(self._sets.items(), batches, strict=True):
            number = self._evaluated(self.dataset(name), limit)
            found = part.baselines(self.context, self.scaling, number)
            notes += [f"{name}: {note}" for note in found.notes]
            for forecast, values in found.scores.items():
                named = {f"{metric}/{name}": value for metric, value in values.items()}
                scores[forecast] = scores.get(forecast, {}) | named
        return Baselines({name: self._with_relative(each) for name, each in scores.items()}, notes)

    def _with_relative(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Adds the geometric means over the sets of MASE and WQL relative to seasonal naive."""
        sets = self.spec.benchmarks
        mase, wql = ([scores[f"{name}/{part.name}"] for part in sets] for name in ("mase", "wql"))
        return {
            **scores,
            "mase_relative": relative_score(mase, [part.mase for part in sets]),
            "wql_relative": relative_score(wql, [part.wql for part in sets]),
        }

    def _pool(self, corpus: SeriesCorpus, kept: bool) -> SeriesPool:
        """Returns the training series of a corpus, or those that are held out."""
        path = store_panel(corpus.source)
        first, length = read_spans(path)
        every = max(HELD_OUT, len(first) // self.validation)
        chosen = (np.arange(len(first)) % every != every - 1) == kept
        if not chosen.any():
            raise ValueError(
                f"ZeroShotData: {type(corpus.source).__name__} has {len(first)} series, and every "
                f"{every}th is held out; give at least {every}."
            )
        return SeriesPool(
            MappedArray(path, map_values), first[chosen], length[chosen], corpus.weight
        )

    @cached_property
    def _sets(self) -> dict[str, BenchmarkSet]:
        sets = self.benchmarks.items()
        return {name: BenchmarkSet.of(source, self._horizon, self.limit) for name, source in sets}

    @cached_property
    def _clean(self) -> dict[str, SeriesCorpus]:
        """The corpora, checked not to contain the benchmark series."""
        origins: Sequence[PanelSource] = [
            origin for corpus in self.corpora.values() for origin in corpus.source.origins()
        ]
        refuse_overlaps(origins, self.benchmarks)
        return self.corpora
