"""ToyTable: the toy experiments of the Fourier head, all heads on all problems, in one call."""

from __future__ import annotations

import json
import time
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
from framework.callbacks.table import table
from framework.data.density.module import DensityData
from framework.data.density.problems import Problem
from framework.papers.fourier.figures import draw_distributions, draw_frequencies
from framework.papers.fourier.groups import Candidate, Curves, Group, Outcome
from framework.schedules import ScheduleFactory
from framework.studies.results import Published, Result, markdown, summary, write
from framework.studies.study import Study

METRICS = (
    "kl_cells",
    "smoothness",
    "squared_error_of_mean_cell",
    "squared_error_of_mode_cell",
    "squared_error",
    "perplexity",
)


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
    """Builds a problem whose observations are drawn anew for each seed."""

    def __call__(self, *, seed: int) -> Problem:
        """Builds it."""
        ...


@dataclass
class Peaked:
    """A problem, and what a mixture has to be told of it.

    Args:
        problem: Features and outcomes, whose true distribution is known.
        components: Peaks of the distribution of the outcome.
    """

    problem: ProblemFactory
    components: int = 2


@dataclass
class Training:
    """One way to train: cells are classified, or densities fitted by maximum likelihood.

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

    Models of one shape are trained side by side on one core; each is what the recipe of its
    problem trains with that head, `seed_everything`, `data.seed` and `data.source.seed`. Groups
    that are finished are not repeated as long as their variants, seeds and steps stay the same.

    Args:
        problems: The problems by name.
        trainings: The ways to train by name.
        backbone: The network between stem and head.
        losses: Terms of the objective.
        frequencies: Numbers of frequencies that the Fourier head is given, increasing.
        seeds: Seeds of data, weights and order of the examples.
        steps: Optimizer steps of every run.
        batch_size: Examples in a batch.
        published: Numbers of the paper to put beside, by variant (`problem/training/head`) and
            metric, as it states them.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), toy example; those with density
        heads are of a later version of the paper.
    """

    def __init__(
        self,
        problems: dict[str, Peaked],
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
            ValueError: If a group failed; those that are finished are kept.
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
        outcomes = [outcome for outcome in found.values() if outcome is not None]
        if len(outcomes) < len(groups):
            missing = ", ".join(name for name, outcome in found.items() if outcome is None)
            raise ValueError(
                f"ToyTable: {missing} did not finish; read what was printed, mend the cause and "
                "run the study again, which repeats only those."
            )
        self._tell(folder, outcomes)

    def groups(self) -> list[Group]:
        """Lists what is trained together: heads of one shape, over all problems and seeds."""
        groups = []
        for name, training in self.trainings.items():
            series: dict[str, HeadFactory] = {
                f"fourier-{n}": partial(training.fourier, frequencies=n) for n in self.frequencies
            }
            widest = list(series.values())[-1]
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
        """Deals the groups out to processes, which inherit the factories."""
        context = get_context("fork")
        shares = [groups[k::jobs] for k in range(jobs)]
        processes = [context.Process(target=self._train, args=(folder, s)) for s in shares if s]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    def _train(self, folder: Path, groups: Sequence[Group]) -> None:
        """Trains groups one after the other and keeps what became of them."""
        torch.set_num_threads(1)  # operations are too small to share
        for group in groups:
            outcome = group.train(self.steps, Clock(group.name, self.steps))
            kept = {"settings": self._settings(group), **outcome._asdict()}
            path = _place(folder, group)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(kept), encoding="utf-8")

    def _finished(self, folder: Path, group: Group) -> Outcome | None:
        """Returns what became of a group that is finished with the same settings."""
        path = _place(folder, group)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["settings"] != self._settings(group):
            return None
        results = [Result(*result) for result in kept["results"]]
        curves = {variant: Curves(*each) for variant, each in kept["curves"].items()}
        return Outcome(results, curves)

    def _settings(self, group: Group) -> list[str | int]:
        runs = [f"{candidate.variant} {candidate.seed}" for candidate in group.candidates]
        return [self.steps, self.batch_size, *runs]

    def _tell(self, folder: Path, outcomes: Sequence[Outcome]) -> None:
        """Writes the results, their table and the figures, and prints the table."""
        place = {f"{p}/{t}": k for k, (p, t) in enumerate(product(self.problems, self.trainings))}
        results = [result for outcome in outcomes for result in outcome.results]
        results.sort(key=lambda result: place[result.variant.rpartition("/")[0]])
        curves = {variant: c for outcome in outcomes for variant, c in outcome.curves.items()}
        rows = summary(results, METRICS, self.published)
        write(folder / "results.csv", results)
        (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
        print(table(f"Test metrics, {folder / 'table.md'}", rows), flush=True)
        for training in self.trainings:
            waves = draw_frequencies(results, self.published, list(self.problems), training)
            waves.savefig(folder / f"frequencies-{training}.png", dpi=150)
            for problem in self.problems:
                distributions = draw_distributions(curves, problem, training)
                distributions.savefig(folder / f"distributions-{problem}-{training}.png", dpi=150)


class Clock:
    """Says how far a group is, and how long it will take.

    Args:
        name: Of the group.
        steps: Steps that it takes.
    """

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self.start = name, steps, time.monotonic()
        self.told = {max(1, steps // 100), *(steps * k // 10 for k in range(1, 11))}

    def __call__(self, step: int) -> None:
        """Prints after a hundredth of the steps, and after every tenth."""
        if step in self.told:
            spent = time.monotonic() - self.start
            left = spent * (self.steps - step) / step
            print(
                f"{self.name}: step {step} of {self.steps}, {spent:.0f} s, {left:.0f} s to go",
                flush=True,
            )


def _place(folder: Path, group: Group) -> Path:
    return folder / "groups" / f"{group.name}.json"
