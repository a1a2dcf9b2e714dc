"""Groups: density models of one shape for several problems and seeds, trained together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.functional import pad

from components.interfaces import BackboneFactory, HeadFactory, LossFactory, StemFactory
from components.metrics.densities import log_density, measure, read_cells
from framework.data.density.module import DensityData
from framework.modules.density import DensityModel
from framework.papers.fourier.replicas import Replicas
from framework.schedules import ScheduleFactory
from framework.studies.results import Result

EXAMPLES = 4  # test points whose densities are kept


class Candidate(NamedTuple):
    """A model to train."""

    variant: str
    seed: int  # of the initial weights
    data: DensityData
    head: HeadFactory


class ExampleDensities(NamedTuple):
    """Predicted and true densities of E test points."""

    values: list[float]  # outcomes, [G]
    predicted: list[list[float]]  # [E, G], per unit of the outcome
    truth: list[list[float]]  # [E, G]


class GroupResult(NamedTuple):
    """Test results of a group."""

    results: list[Result]
    densities: dict[str, ExampleDensities]  # by variant, of its first seed


class Group(NamedTuple):
    """Models that are trained together, and how.

    If `widest` is given, all heads are Fourier heads; those with fewer frequencies are padded with
    coefficients that are zero and stay zero, which changes no distribution.
    """

    name: str
    candidates: Sequence[Candidate]
    stem: StemFactory
    backbone: BackboneFactory
    losses: dict[str, LossFactory]
    optimizer: OptimizerCallable
    schedule: ScheduleFactory
    clip: float | None
    widest: HeadFactory | None = None

    def train(self, steps: int, report: Callable[[int], None] | None = None) -> GroupResult:
        """Trains all models, and measures each on its test data.

        Args:
            steps: Optimizer steps.
            report: Called with the number of each step after it.
        """
        replicas = self.replicas(steps)
        replicas.train(report)
        return _test(self.candidates, replicas.models)

    def replicas(self, steps: int) -> Replicas:
        """Builds the models, side by side."""
        models = [self.model(candidate, candidate.head) for candidate in self.candidates]
        masks: dict[str, Tensor] = {}
        if self.widest is not None:
            wide = [self.model(candidate, self.widest) for candidate in self.candidates]
            rows = [pad_frequencies(*pair) for pair in zip(models, wide, strict=True)]
            masks = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
            models = wide
        data = [candidate.data for candidate in self.candidates]
        return Replicas(models, data, self.optimizer, self.schedule, steps, self.clip, masks)

    def model(self, candidate: Candidate, head: HeadFactory) -> DensityModel:
        """Builds a model as `lightning fit` does with its seed."""
        model = DensityModel(
            spec=candidate.data.spec,
            stem=self.stem,
            backbone=self.backbone,
            head=head,
            losses=self.losses,
            optimizer=self.optimizer,
            schedule=self.schedule,
        )
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(candidate.seed)
            model.configure_model()
        return model


@torch.no_grad()
def pad_frequencies(narrow: DensityModel, wide: DensityModel) -> dict[str, Tensor]:
    """Copies a model into one with more frequencies, which then predicts the same.

    Args:
        narrow: A model with a Fourier head.
        wide: A model with a Fourier head of at least as many frequencies; its weights are set.

    Returns:
        Masks of the parameters of the projection, by name: 1 where a weight comes from the narrow
            model, 0 elsewhere.
    """
    wide.stem.load_state_dict(narrow.stem.state_dict())
    wide.backbone.load_state_dict(narrow.backbone.state_dict())
    masks = {}
    own = dict(narrow.head.projection.named_parameters())
    for name, parameter in wide.head.projection.named_parameters():
        missing = (len(parameter) - len(own[name])) // 2
        parameter.copy_(_padded(own[name], missing))
        masks[f"projection.{name}"] = _padded(torch.ones_like(own[name]), missing)
    return masks


def _padded(rows: Tensor, missing: int) -> Tensor:
    """Adds zeros after the real and after the imaginary parts: `[2(N + 1), ...]`."""
    halves = rows.reshape(2, -1, *rows.shape[1:])
    return pad(halves, (*(0, 0) * (halves.ndim - 2), 0, missing)).flatten(0, 1)


@torch.no_grad()
def _test(candidates: Sequence[Candidate], models: Sequence[Any]) -> GroupResult:
    results, densities = [], {}
    for candidate, model in zip(candidates, models, strict=True):
        split = candidate.data.dataset("test")
        batch = split.__getitems__(list(range(len(split))))
        distribution, truth = model(batch), candidate.data.truth(batch)
        interval = candidate.data.spec.support.interval
        values = measure(distribution, batch.target, truth, interval)
        means = {name: value.double().mean().item() for name, value in values.items()}
        nll = -distribution.log_prob(batch.target).double().mean().item()
        means |= {"nll": nll, "perplexity": math.exp(nll)}
        results += [Result(candidate.variant, candidate.seed, *each) for each in means.items()]
        if truth is not None and candidate.variant not in densities:
            cells = read_cells(distribution, interval)
            width = cells.centers[1] - cells.centers[0]
            predicted = cells.log_masses[:EXAMPLES, 0].exp() / width
            true = log_density(truth, cells.centers)[:EXAMPLES, 0].exp()
            parts = (cells.centers, predicted, true)
            densities[candidate.variant] = ExampleDensities(*map(_rounded, parts))
    return GroupResult(results, densities)


def _rounded(values: Tensor) -> Any:
    return (values.double() * 1e6).round().div(1e6).tolist()


class Progress:
    """Prints the progress of a group, and the time that is left.

    Args:
        name: Name of the group.
        steps: Number of its steps.
    """

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self.start = name, steps, time.monotonic()
        self.printed = {max(1, steps // 100), *(steps * k // 10 for k in range(1, 11))}

    def __call__(self, step: int) -> None:
        """Prints after a hundredth of the steps, and after every tenth."""
        if step in self.printed:
            spent = time.monotonic() - self.start
            left = spent * (self.steps - step) / step
            print(
                f"{self.name}: step {step} of {self.steps}, {spent:.0f} s, {left:.0f} s to go",
                flush=True,
            )
