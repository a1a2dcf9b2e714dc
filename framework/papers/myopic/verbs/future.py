"""Measures what checkpoints compute for later positions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from framework.analysis.report import Report
from framework.analysis.sample import Sample
from framework.console import trust
from framework.console.checkpoint_options import HELP, CheckpointOptions, leading, parse_options
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.module import PredictiveData
from framework.data.protocols import KnowsRegressors
from framework.modules.base import PredictiveModule
from framework.papers.myopic.gradients import FutureGradient
from framework.papers.myopic.positions import NLL, measure_positions
from framework.papers.myopic.probes import RIDGE, probe_layers
from framework.papers.myopic.reports import report_gradients, report_positions, report_probes
from framework.tables import table

Models = Mapping[OpenedCheckpoint, PredictiveModule]
"""The checkpoints in the order of the command line, and their models."""

QUESTIONS = {
    "positions": "Measures the loss at each position of the window; for several checkpoints also "
    "the difference from the first one.",
    "probes": "Measures how well linear probes predict known quantities from hidden states.",
    "gradients": "Splits the gradient into a part for the present and one for the future; for "
    "several checkpoints of a run over its steps.",
}


@dataclass(frozen=True)
class FutureOptions(CheckpointOptions, ABC):
    """Options that all questions share.

    Args:
        split: Split to read.
    """

    split: Literal["val", "test"] = "val"

    @abstractmethod
    def report(self, models: Models, sample: Sample) -> Report:
        """Answers the question."""


@dataclass(frozen=True)
class PositionOptions(FutureOptions):
    """Options of positions.

    Args:
        loss: Term of the objective, or nll.
    """

    loss: str = NLL

    def report(self, models: Models, sample: Sample) -> Report:
        """Measures the loss at each position."""
        losses, weight = measure_positions(list(models.values()), sample, self.loss)
        return report_positions(_names([str(each.path) for each in models]), losses, weight)


@dataclass(frozen=True)
class ProbeOptions(FutureOptions):
    """Options of probes.

    Args:
        first: First position to probe.
        ridge: Ridge penalty, at least 0.
    """

    LEAST: ClassVar[Mapping[str, float]] = {**FutureOptions.LEAST, "first": 0, "ridge": 0}

    first: int = 0
    ridge: float = RIDGE

    def report(self, models: Models, sample: Sample) -> Report:
        """Fits probes to the hidden states of the only model."""
        [module] = models.values()
        known = _regressors(self.data)
        return report_probes(probe_layers(module, sample, known, self.first, self.ridge))


@dataclass(frozen=True)
class GradientOptions(FutureOptions):
    """Options of gradients.

    Args:
        constant: What is constant in the past.
        everything: Measure stem, head and embeddings too.
    """

    constant: Literal["hidden", "keys"] = "hidden"
    everything: bool = False

    def report(self, models: Models, sample: Sample) -> Report:
        """Splits the gradient of each checkpoint, in the order of their steps."""
        measured = {}
        for checkpoint, module in models.items():
            gradient = FutureGradient(module, self.constant, self.everything)
            step = int(checkpoint.contents["global_step"])
            measured[step] = gradient.measure(batch for _, batch in sample)
        return report_gradients(measured)


OPTIONS: Mapping[str, type[FutureOptions]] = {
    "positions": PositionOptions,
    "probes": ProbeOptions,
    "gradients": GradientOptions,
}


def run(words: list[str], prog: str) -> None:
    """Runs `future QUESTION CHECKPOINT... [--OPTION VALUE ...]`.

    Args:
        words: What follows `future` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If there is no such question, or an option is wrong.
        ValueError: If a checkpoint or the data do not fit the question.
    """
    question, rest = (words[0], words[1:]) if words else ("", [])
    if question in HELP:
        known = [f"{prog} future {name}: {text}" for name, text in QUESTIONS.items()]
        print("\n".join([*known, trust.HELP]))
        return
    if question not in QUESTIONS:
        raise UserError(
            f"future has no question {question!r}; choose from {', '.join(QUESTIONS)}, for "
            "example `future probes CHECKPOINT`."
        )
    paths, options = leading(rest)
    if not paths and not HELP & set(options):
        raise UserError(f"future {question} needs a checkpoint, right after {question}.")
    if question == "probes" and len(paths) > 1:
        raise UserError(
            f"future probes reads one checkpoint, got {len(paths)}; give one at a time."
        )
    checkpoints = [OpenedCheckpoint(Path(path)) for path in paths]
    given = parse_options(
        OPTIONS[question],
        f"{prog} future {question}",
        f"{QUESTIONS[question]} Checkpoints come first, then options.",
        checkpoints[0] if checkpoints else None,
        options,
    )
    fabric = given.launch()
    for checkpoint in checkpoints:
        checkpoint.require_data(given.data)
    examples = given.data.dataset(given.split)
    sample = Sample(examples, given.sequences, given.batch_size, fabric.device)
    models = {checkpoint: checkpoint.module.to(fabric.device) for checkpoint in checkpoints}
    report = given.report(models, sample)
    if fabric.is_global_zero:
        of = paths[0] if len(paths) == 1 else f"{len(paths)} checkpoints"
        print(table(f"{report.name.capitalize()} of {of}", report.table))
        folder = given.output_folder(checkpoints[0], "future")
        print("\n" + "\n".join(str(path) for path in report.write(folder)), flush=True)


def _regressors(data: PredictiveData) -> Any:
    if not isinstance(data, KnowsRegressors):
        raise ValueError(
            f"{type(data).__name__} has no regressors, which say what to look for in hidden "
            "states; probe a model of SequenceData, or give your data a method "
            "`regressors(batch)` that returns tensors [B, T] by name."
        )
    return data.regressors


def _names(paths: Sequence[str]) -> list[str]:
    """Names checkpoints by the parts of their paths that differ."""
    split = [Path(path).with_suffix("").parts for path in paths]
    depth = max(map(len, split))
    padded = [("",) * (depth - len(parts)) + parts for parts in split]
    differ = [len(set(column)) > 1 for column in zip(*padded, strict=True)]
    named = [
        "/".join(part for part, other in zip(parts, differ, strict=True) if other and part)
        for parts in padded
    ]
    return [name or parts[-1] for name, parts in zip(named, split, strict=True)]
