"""Measures what checkpoints compute for later positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from framework.analysis.report import Report
from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.checkpoints import read
from framework.console.checkpoint_options import HELP, asking, beside, check_data, leading, parse
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.data.protocols import KnowsRegressors
from framework.modules.loading import load_module
from framework.papers.myopic.gradients import FutureGradient
from framework.papers.myopic.positions import NLL, measure_positions
from framework.papers.myopic.probes import RIDGE, probe_layers
from framework.papers.myopic.reports import report_gradients, report_positions, report_probes
from framework.papers.myopic.twin import CONSTANTS

QUESTIONS = {
    "positions": "Measures the loss at each position of the window; for several checkpoints also "
    "the difference from the first one.",
    "probes": "Measures how well linear probes predict known quantities from hidden states.",
    "gradients": "Splits the gradient into a part for the present and one for the future; for "
    "several checkpoints of a run over its steps.",
}
SPLITS = ("val", "test")


@dataclass(frozen=True)
class Options:
    """Options of the command line, with defaults for those of other questions."""

    data: PredictiveData
    sequences: int | None
    batch_size: int
    accelerator: str
    devices: int
    folder: str | None
    split: str
    loss: str = NLL
    first: int = 0
    ridge: float = RIDGE
    constant: str = "hidden"
    everything: bool = False


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
    given = _parse(question, paths, options, prog)
    fabric = Fabric(accelerator=given.accelerator, devices=given.devices)
    fabric.launch()
    report = _report(question, paths, given, fabric)
    if fabric.is_global_zero:
        print(table(f"{report.name.capitalize()} of {', '.join(paths)}", report.table))
        folder = Path(given.folder) if given.folder else beside(paths[0], "future")
        print("\n" + "\n".join(str(path) for path in report.write(folder)), flush=True)


def _report(question: str, paths: Sequence[str], given: Options, fabric: Fabric) -> Report:
    data = given.data
    modules = {path: load_module(path).to(fabric.device) for path in paths}
    for path, module in modules.items():
        check_data(path, module, data)
    sample = Sample(data.dataset(given.split), given.sequences, given.batch_size, fabric.device)
    match question:
        case "positions":
            losses, weight = measure_positions(list(modules.values()), sample, given.loss)
            return report_positions(_names(paths), losses, weight)
        case "probes":
            [module] = modules.values()
            known = _regressors(data)
            return report_probes(probe_layers(module, sample, known, given.first, given.ridge))
    measured = {}
    for path, module in modules.items():
        gradient = FutureGradient(module, given.constant, given.everything)
        measured[int(read(path)["global_step"])] = gradient.measure(batch for _, batch in sample)
    return report_gradients(measured)


def _parse(question: str, paths: Sequence[str], words: Sequence[str], prog: str) -> Options:
    parser = asking(
        f"{prog} future {question}",
        f"{QUESTIONS[question]} Checkpoints come first, then options.",
    )
    parser.add_argument("--split", choices=SPLITS, default="val", help="Split to read.")
    match question:
        case "positions":
            parser.add_argument(
                "--loss", type=str, default=NLL, help="Term of the objective, or nll."
            )
        case "probes":
            parser.add_argument("--first", type=int, default=0, help="First position to probe.")
            parser.add_argument(
                "--ridge", type=float, default=RIDGE, help="Ridge penalty, at least 0."
            )
        case "gradients":
            parser.add_argument(
                "--constant",
                choices=CONSTANTS,
                default="hidden",
                help="What is constant in the past.",
            )
            parser.add_argument(
                "--everything",
                type=bool,
                default=False,
                help="Measure stem, head and embeddings too.",
            )
    return Options(**vars(parse(parser, paths[0] if paths else None, words)))


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
