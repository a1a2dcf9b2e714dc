"""The verb `future`: asks checkpoints what they do for positions that are yet to come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser
from lightning.fabric import Fabric

from framework.analysis.findings import Finding, tell_gradients, tell_positions, tell_probes
from framework.analysis.gradients import FutureGradient
from framework.analysis.positions import NLL, measure_positions
from framework.analysis.probes import RIDGE, probe_layers
from framework.analysis.rebuilding import CONSTANTS, load
from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.checkpoints import read
from framework.console import resumption
from framework.console.mistakes import Mistake
from framework.console.parsing import explain
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule

QUESTIONS = {
    "positions": "Measures the loss at each position of the window; of several checkpoints also "
    "how much more each loses there than the first.",
    "probes": "Tells how well linear probes read what the data know off the states of each layer.",
    "gradients": "Splits the gradient into what serves the present and what serves the future; "
    "of several checkpoints of a run over its steps.",
}
SPLITS = ("val", "test")


def run_future(words: list[str], prog: str) -> None:
    """Runs `future QUESTION CHECKPOINT... [--OPTION VALUE ...]`.

    Args:
        words: What follows `future` on the command line.
        prog: What the command is called.

    Raises:
        Mistake: If there is no such question, or an option is wrong.
        ValueError: If a checkpoint or the data cannot be asked.
    """
    question, rest = (words[0], words[1:]) if words else ("", [])
    if question in ("-h", "--help"):
        print("\n".join(f"{prog} future {name}: {said}" for name, said in QUESTIONS.items()))
        return
    if question not in QUESTIONS:
        raise Mistake(
            f"future answers no {question!r}; ask for one of {', '.join(QUESTIONS)}, for example "
            "`future probes CHECKPOINT`."
        )
    count = next((k for k, word in enumerate(rest) if word.startswith("-")), len(rest))
    paths, options = rest[:count], rest[count:]
    if not paths and not {"-h", "--help"} & set(options):
        raise Mistake(f"future {question} needs a checkpoint, right behind {question}.")
    if question == "probes" and len(paths) > 1:
        raise Mistake(f"future probes asks one checkpoint, got {len(paths)}; ask one by one.")
    given = _parse(question, paths, options, prog)
    fabric = Fabric(accelerator=given.accelerator, devices=given.devices)
    fabric.launch()
    finding = _answer(question, paths, given, fabric)
    if fabric.is_global_zero:
        print(table(_title(finding, paths), finding.table))
        folder = Path(given.folder) if given.folder else _beside(paths[0])
        print("\n" + "\n".join(str(path) for path in finding.write(folder)), flush=True)


def _answer(question: str, paths: Sequence[str], given: Any, fabric: Fabric) -> Finding:
    data: PredictiveData = given.data
    modules = {path: load(path).to(fabric.device) for path in paths}
    for path, module in modules.items():
        _check(path, module, data)
    sample = Sample(data.dataset(given.split), given.sequences, given.batch_size, fabric.device)
    match question:
        case "positions":
            losses, weight = measure_positions(list(modules.values()), sample, given.loss)
            return tell_positions(_names(paths), losses, weight)
        case "probes":
            [module] = modules.values()
            known = _regressors(data)
            return tell_probes(probe_layers(module, sample, known, given.first, given.ridge))
    splits = {}
    for path, module in modules.items():
        gradient = FutureGradient(module, given.constant, given.everything)
        splits[int(read(path)["global_step"])] = gradient.measure(batch for _, batch in sample)
    return tell_gradients(splits)


def _parse(question: str, paths: Sequence[str], words: Sequence[str], prog: str) -> Any:
    """Parses options, with the data that the first checkpoint was trained on if not given."""
    parser = ArgumentParser(
        prog=f"{prog} future {question}",
        description=f"{QUESTIONS[question]} Checkpoints come first, then options.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_subclass_arguments(PredictiveData, "data", required=True)
    parser.add_argument("--split", choices=SPLITS, default="val", help="Which examples to read.")
    parser.add_argument(
        "--sequences", type=int | None, default=None, help="How many, the first ones; null: all."
    )
    parser.add_argument("--batch_size", type=int, default=32, help="Of one process.")
    parser.add_argument("--accelerator", type=str, default="auto", help="As of the trainer.")
    parser.add_argument("--devices", type=int, default=1, help="Processes to share the work.")
    parser.add_argument(
        "--folder", type=str | None, default=None, help="For files; null: beside the checkpoint."
    )
    match question:
        case "positions":
            parser.add_argument(
                "--loss", type=str, default=NLL, help="A term of the objective, or nll."
            )
        case "probes":
            parser.add_argument("--first", type=int, default=0, help="First position to probe.")
            parser.add_argument("--ridge", type=float, default=RIDGE, help="Penalty, positive.")
        case "gradients":
            parser.add_argument(
                "--constant", choices=CONSTANTS, default="hidden", help="What the past keeps."
            )
            parser.add_argument(
                "--everything", type=bool, default=False, help="Stem, head, embeddings, too."
            )
    try:
        config = parser.parse_args([*_data_words(paths, words), *words])
    except ArgumentError as error:
        raise Mistake(explain(error.message, parser)) from error
    return parser.instantiate_classes(config)


def _data_words(paths: Sequence[str], words: Sequence[str]) -> list[str]:
    """Returns the data of the recipe of the first checkpoint, unless others are named."""
    if {"-h", "--help"} & set(words) or not paths:
        return []
    named = any(word == "--data" or word.startswith("--data=") for word in words)
    if named:
        return []
    recipe = resumption.recipe_of(paths[0])
    data = yaml.safe_load(recipe.read_text(encoding="utf-8")).get("data")
    if not data:
        raise Mistake(
            f"The recipe {recipe} of the checkpoint {paths[0]!r} names no data; say with --data "
            "which to read."
        )
    return ["--data", json.dumps(data)]


def _check(path: str, module: PredictiveModule, data: PredictiveData) -> None:
    if (type(module.spec), module.spec.support) != (type(data.spec), data.spec.support):
        raise ValueError(
            f"The checkpoint {path!r} predicts {module.spec.support} of a "
            f"{type(module.spec).__name__}, the data hold {data.spec.support} of a "
            f"{type(data.spec).__name__}; choose the data that it was trained on."
        )


def _regressors(data: PredictiveData) -> Any:
    known = getattr(data, "regressors", None)  # of data that know what their outcomes are made of
    if known is None:
        raise ValueError(
            f"{type(data).__name__} has no regressors, which say what to look for in hidden "
            "states; probe a model of SequenceData, or give your data a method "
            "`regressors(batch)` that returns tensors [B, T] by name."
        )
    return known


def _names(paths: Sequence[str]) -> list[str]:
    """Names checkpoints by the parts of their paths in which they differ."""
    split = [Path(path).with_suffix("").parts for path in paths]
    depth = max(map(len, split))
    padded = [("",) * (depth - len(parts)) + parts for parts in split]
    differ = [len(set(column)) > 1 for column in zip(*padded, strict=True)]
    named = [
        "/".join(part for part, other in zip(parts, differ, strict=True) if other and part)
        for parts in padded
    ]
    return [name or parts[-1] for name, parts in zip(named, split, strict=True)]


def _title(finding: Finding, paths: Sequence[str]) -> str:
    return f"{finding.name.capitalize()} of {', '.join(paths)}"


def _beside(path: str) -> Path:
    return Path(path).parent / f"{Path(path).stem}-future"
