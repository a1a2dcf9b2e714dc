"""Measures what checkpoints compute for later positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from framework.analysis.report import Report
from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.console.checkpoint_options import HELP, CheckpointOptions, leading, parse_options
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.module import PredictiveData
from framework.data.protocols import KnowsRegressors
from framework.papers.myopic.gradients import FutureGradient
from framework.papers.myopic.positions import NLL, measure_positions
from framework.papers.myopic.probes import RIDGE, probe_layers
from framework.papers.myopic.reports import report_gradients, report_positions, report_probes

QUESTIONS = {
    "positions": "Measures the loss at each position of the window; for several checkpoints also "
    "the difference from the first one.",
    "probes": "Measures how well linear probes predict known quantities from hidden states.",
    "gradients": "Splits the gradient into a part for the present and one for the future; for "
    "several checkpoints of a run over its steps.",
}


@dataclass(frozen=True)
class FutureOptions(CheckpointOptions):
    """Options of all questions.

    Args:
        split: Split to read.
    """

    split: Literal["val", "test"] = "val"


@dataclass(frozen=True)
class PositionsOptions(FutureOptions):
    """Options of positions.

    Args:
        loss: Term of the objective, or nll.
    """

    loss: str = NLL


@dataclass(frozen=True)
class ProbesOptions(FutureOptions):
    """Options of probes.

    Args:
        first: First position to probe.
        ridge: Ridge penalty, at least 0.
    """

    first: int = 0
    ridge: float = RIDGE


@dataclass(frozen=True)
class GradientsOptions(FutureOptions):
    """Options of gradients.

    Args:
        constant: What is constant in the past.
        everything: Measure stem, head and embeddings too.
    """

    constant: Literal["hidden", "keys"] = "hidden"
    everything: bool = False


OPTIONS: dict[str, type[FutureOptions]] = {
    "positions": PositionsOptions,
    "probes": ProbesOptions,
    "gradients": GradientsOptions,
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
        print("\n".join(f"{prog} future {name}: {text}" for name, text in QUESTIONS.items()))
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
    report = _report(checkpoints, given)
    if report is not None:
        print(table(f"{report.name.capitalize()} of {', '.join(paths)}", report.table))
        folder = given.output_folder(checkpoints[0], "future")
        print("\n" + "\n".join(str(path) for path in report.write(folder)), flush=True)


def _report(checkpoints: Sequence[OpenedCheckpoint], options: FutureOptions) -> Report | None:
    """Answers the question; None on all processes but the first."""
    fabric = options.launch()
    for checkpoint in checkpoints:
        checkpoint.require_data(options.data)
    modules = [checkpoint.module.to(fabric.device) for checkpoint in checkpoints]
    examples = options.data.dataset(options.split)
    sample = Sample(examples, options.sequences, options.batch_size, fabric.device)
    match options:
        case PositionsOptions():
            losses, weight = measure_positions(modules, sample, options.loss)
            names = _names([str(checkpoint.path) for checkpoint in checkpoints])
            report = report_positions(names, losses, weight)
        case ProbesOptions():
            known = _regressors(options.data)
            [module] = modules
            scores = probe_layers(module, sample, known, options.first, options.ridge)
            report = report_probes(scores)
        case GradientsOptions():
            measured = {}
            for checkpoint, module in zip(checkpoints, modules, strict=True):
                gradient = FutureGradient(module, options.constant, options.everything)
                step = int(checkpoint.contents["global_step"])
                measured[step] = gradient.measure(batch for _, batch in sample)
            report = report_gradients(measured)
    return report if fabric.is_global_zero else None


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
