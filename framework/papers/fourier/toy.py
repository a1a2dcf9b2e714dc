"""ToyTable: the toy study of the Fourier head, all heads on all problems, in one call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import torch
from lightning.pytorch.cli import OptimizerCallable

from components.interfaces import BackboneFactory, Head, HeadFactory, LossFactory, StemFactory
from components.supports import Support
from framework.data.density.module import DensityData
from framework.data.density.problems import Problem
from framework.papers.fourier.figures import draw_distributions, draw_frequencies
from framework.papers.fourier.groups import (
    Candidate,
    ExampleDensities,
    Group,
    GroupResult,
    Progress,
)
from framework.run_files import RESULTS, TABLES
from framework.schedules import ScheduleFactory
from framework.studies.comparisons import differences
from framework.studies.results import Published, Result, markdown, summary, write
from framework.studies.study import Study
from framework.tables import table
from framework.whole_files import write_text

METRICS = (
    "kl_cells",
    "smoothness",
    "squared_error_of_mean_cell",
    "squared_error_of_mode_cell",
    "squared_error",
    "perplexity",
)


RIVALS = ("linear", "mixture")  # heads that the others are compared with


class FourierFactory(Protocol):
    """Builds a Fourier head of some frequencies."""

    def __call__(self, *, dim: int, support: Support, frequencies: int) -> Head:
        """Builds it."""
        ...


class MixtureFactory(Protocol):
    """Builds a head that predicts a mixture of some components."""

    def __call__(self, *, dim: int, support: Support, components: int) -> Head:
        """Builds it."""
        ...


class ProblemFactory(Protocol):
    """Builds a problem, whose observations depend on the seed."""

    def __call__(self, *, seed: int) -> Problem:
        """Builds it."""
        ...


@dataclass
class ToyProblem:
    """A problem, and the number of components of a mixture that fits it.

    Args:
        problem: Features and outcomes, whose true distribution is known.
        components: Peaks of the distribution of the outcome.
    """

    problem: ProblemFactory
    components: int = 2


@dataclass
class Training:
    """A way to train: classification into cells, or maximum likelihood of densities.

    Args:
        stem: Reads the features.
        fourier: The Fourier head, for every number of frequencies.
        mixture: The mixture, with as many components as the problem has peaks.
        optimizer: The optimizer.
        schedule: The learning rate over the steps.
        heads: Further heads by name.
        clip: Largest norm of a gradient; no limit if not given.
    """

    stem: StemFactory
    fourier: FourierFactory
    mixture: MixtureFactory
    optimizer: OptimizerCallable
    schedule: ScheduleFactory
    heads: dict[str, HeadFactory] = field(default_factory=dict)
    clip: float | None = None


class ToyTable(Study):
    """Trains every head on every problem with every seed, and compares them with the paper.

    Models of one shape are trained side by side on one core; each equals what the recipe of its
    problem trains with that head and with the seed as `seed_everything`, `data.seed` and
    `data.source.seed`. Finished groups are not repeated while their variants, seeds and steps stay
    the same.

    Args:
        problems: The problems by name.
        trainings: The ways to train by name.
        backbone: The network between stem and head.
        losses: Terms of the objective.
        frequencies: Numbers of frequencies of the Fourier heads, none of them twice.
        seeds: Seeds of data, weights and order of the examples.
        steps: Optimizer steps of every run.
        batch_size: Examples in a batch.
        published: Numbers of the paper to show beside ours, by variant (`problem/training/head`)
            and metric, as it states them.

    Raises:
        ValueError: If there is nothing to compare, or a number of frequencies is repeated.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), toy example; those with density
        heads are of a later version of the paper.
    """

    def __init__(
        self,
        problems: dict[str, ToyProblem],
        trainings: dict[str, Training],
        backbone: BackboneFactory,
        losses: dict[str, LossFactory],
        frequencies: Sequence[int] = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20),
        seeds: Sequence[int] = (1, 2, 3, 42),
        steps: int = 62_500,
        batch_size: int = 32,
        published: Published | None = None,
    ) -> None:
        if not (problems and trainings and frequencies and seeds):
            raise ValueError(
                f"ToyTable: problems={list(problems)}, trainings={list(trainings)}, "
                f"frequencies={list(frequencies)} and seeds={list(seeds)} leave nothing to "
                "compare; name at least one of each."
            )
        if len(set(frequencies)) < len(frequencies):
            raise ValueError(
                f"ToyTable: frequencies={list(frequencies)} names a number twice, which would "
                "train one head as two; name each once."
            )
        self.problems, self.trainings = problems, trainings
        self.backbone, self.losses = backbone, losses
        self.frequencies, self.seeds = list(frequencies), list(seeds)
        self.steps, self.batch_size, self.published = steps, batch_size, published or {}
        self.data = {
            (name, seed): DensityData(problem.problem(seed=seed), batch_size=batch_size, seed=seed)
            for name, problem in problems.items()
            for seed in self.seeds
        }

    def run(self, folder: Path, jobs: int) -> None:
        """Trains what is not finished; writes `results.csv`, `table.md` and the figures.

        Raises:
            ValueError: If a group failed; finished groups are kept.
        """
        folder.mkdir(parents=True, exist_ok=True)
        groups = self.groups()
        waiting = [group for group in groups if self._finished(folder, group) is None]
        waiting.sort(key=lambda group: -len(group.candidates))
        print(f"{len(waiting)} of {len(groups)} groups to go, in {folder}", flush=True)
        if jobs == 1:
            self._train(folder, waiting)
        else:
            self._train_side_by_side(folder, waiting, jobs)
        found = {group.name: self._finished(folder, group) for group in groups}
        finished = [result for result in found.values() if result is not None]
        if len(finished) < len(groups):
            missing = ", ".join(name for name, result in found.items() if result is None)
            raise ValueError(
                f"ToyTable: {missing} did not finish; see the output above, fix the cause and run "
                "the study again, which repeats only those."
            )
        self._report(folder, finished)

    def groups(self) -> list[Group]:
        """Lists the groups: heads of one shape, for all problems and seeds."""
        groups = []
        for name, training in self.trainings.items():
            series: dict[str, HeadFactory] = {
                f"fourier-{n}": partial(training.fourier, frequencies=n) for n in self.frequencies
            }
            widest = series[f"fourier-{max(self.frequencies)}"]
            groups.append(self._group(f"{name}/fourier", series, self.problems, widest))
            for count in sorted({problem.components for problem in self.problems.values()}):
                head = {"mixture": partial(training.mixture, components=count)}
                alike = [key for key, each in self.problems.items() if each.components == count]
                groups.append(self._group(f"{name}/mixture-{count}", head, alike))
            groups += [
                self._group(f"{name}/{key}", {key: head}, self.problems)
                for key, head in training.heads.items()
            ]
        return groups

    def _group(
        self,
        name: str,
        heads: Mapping[str, HeadFactory],
        problems: Iterable[str],
        widest: HeadFactory | None = None,
    ) -> Group:
        training = name.partition("/")[0]
        how = self.trainings[training]
        candidates = [
            Candidate(f"{problem}/{training}/{key}", seed, self.data[problem, seed], head)
            for problem in problems
            for key, head in heads.items()
            for seed in self.seeds
        ]
        return Group(
            name,
            candidates,
            how.stem,
            self.backbone,
            self.losses,
            how.optimizer,
            how.schedule,
            how.clip,
            widest,
        )

    def _train_side_by_side(self, folder: Path, groups: Sequence[Group], jobs: int) -> None:
        """Divides the groups among processes, which inherit the factories."""
        context = get_context("fork")
        parts = [part for k in range(jobs) if (part := groups[k::jobs])]
        processes = [context.Process(target=self._train, args=(folder, part)) for part in parts]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    def _train(self, folder: Path, groups: Sequence[Group]) -> None:
        """Trains groups one after the other and writes their results."""
        torch.set_num_threads(1)  # operations are too small for several
        for group in groups:
            result = group.train(self.steps, Progress(group.name, self.steps))
            kept = {"settings": self._settings(group), **result._asdict()}
            path = _place(folder, group)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(kept))

    def _finished(self, folder: Path, group: Group) -> GroupResult | None:
        """Returns the results of a group that is finished with the same settings."""
        path = _place(folder, group)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["settings"] != self._settings(group):
            return None
        results = [Result(*result) for result in kept["results"]]
        densities = {name: ExampleDensities(*each) for name, each in kept["densities"].items()}
        return GroupResult(results, densities)

    def _settings(self, group: Group) -> list[str | int]:
        runs = [f"{candidate.variant} {candidate.seed}" for candidate in group.candidates]
        return [self.steps, self.batch_size, *runs]

    def tables(self, results: Sequence[Result]) -> dict[str, list[list[str]]]:
        """Arranges the results: rows of cells by the title of the table."""
        gaps = {
            f"Differences from {head}": differences(results, METRICS[0], head) for head in RIVALS
        }
        return {"Test metrics": summary(results, METRICS, self.published), **gaps}

    def _report(self, folder: Path, groups: Sequence[GroupResult]) -> None:
        """Writes the results, their table and the figures, and prints the table."""
        place = {f"{p}/{t}": k for k, (p, t) in enumerate(product(self.problems, self.trainings))}
        results = [result for group in groups for result in group.results]
        results.sort(key=lambda result: place[result.variant.rpartition("/")[0]])
        densities = {name: each for group in groups for name, each in group.densities.items()}
        write(folder / RESULTS, results)
        tables = self.tables(results)
        path = folder / TABLES
        write_text(path, "\n".join(map(markdown, tables.values())))
        for title, rows in tables.items():
            print(table(f"{title}, {path}", rows), flush=True)
        for training in self.trainings:
            figure = draw_frequencies(results, self.published, list(self.problems), training)
            figure.savefig(folder / f"frequencies-{training}.png", dpi=150)
            for problem in self.problems:
                figure = draw_distributions(densities, problem, training)
                figure.savefig(folder / f"distributions-{problem}-{training}.png", dpi=150)


def _place(folder: Path, group: Group) -> Path:
    return folder / "groups" / f"{group.name}.json"
