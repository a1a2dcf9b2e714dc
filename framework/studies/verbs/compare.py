"""Trains a recipe with several heads, options or overlays over seeds, and compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from framework.console import recipes
from framework.console.errors import UserError
from framework.console.options import given
from framework.console.parsing import VerbParser
from framework.run_files import COMPARISON
from framework.studies.arms import LIKE, read_arms
from framework.studies.equality import (
    Equal,
    require_equal,
    with_equal_parameters,
    with_equal_seconds,
)
from framework.studies.grid import RATE
from framework.studies.runs import processes
from framework.studies.same_data import SameData, named_files
from framework.studies.variants import Variants
from framework.whole_files import write_text

REPEATED = ("vary", "overlays")  # options that may be given several times
VALUED = ("seeds", "equal", "jobs", "metric", "folder")
ALONE = ("maximized", "report")
LARGER = re.compile(r"/(accuracy|return)(_|/|$)")  # metrics of which more is better
DESCRIPTION = (
    "Trains a recipe with each value of what is varied and several seeds, and compares the last "
    "metrics: --config RECIPE, what is varied, then options of training for all. Finished runs "
    "are not repeated: the same command goes on where it was."
)
HELP = {
    "vary": "OPTION=VALUE,VALUE: all combinations of the values of several are compared, the "
    "first with all others. Of model.optimizer.lr each gets the best value in validation. "
    "Options of a class stand in brackets, as in FourierHead(frequencies=12).",
    "overlays": "Overlays to compare, such as heads/fan,heads/linear; a+b is one with two files. "
    "With nothing else varied, the recipe as it is comes first.",
    "seeds": "How many seeds, from 1 on.",
    "equal": "Beside data and batches: steps; parameters, by the width of feed-forward networks; "
    "or seconds, by numbers of steps that take as long as those of the first.",
    "jobs": "Processes to run side by side.",
    "metric": "Metrics, separated by commas: the first is compared and drawn, and the first of "
    "validation chooses learning rates (val/nll if there is none); one of the test runs that as "
    "well.",
    "maximized": "More of the first metric is better, in validation and test, as of accuracy and "
    "return, which need it.",
    "folder": "Where results are kept; runs/compare/… if not given.",
    "report": "Run nothing, write the tables of what is finished.",
}


def run(words: list[str], prog: str) -> None:
    """Runs `compare --config RECIPE --vary OPTION=VALUE,VALUE [OPTIONS]`.

    Args:
        words: What follows `compare` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or options of data and batches differ between arms.
        ValueError: If a run failed, or runs were not trained on the same data.
    """
    own, recipe = _divided(words)
    flags = [f"--{name}={value}" if value else f"--{name}" for name, value in own]
    options = _parser(f"{prog} compare").parse(flags)
    varied, overlays = ([value for key, value in own if key == name] for name in REPEATED)
    if not recipe or "config" not in (name for name, _ in given(recipe)):
        raise UserError(f"compare needs --config RECIPE, and what to vary, as in {LIKE}.")
    for name in ("jobs", "seeds"):
        if options[name] < 1:
            raise UserError(f"--{name} {options[name]} runs nothing; use at least 1.")
    _compare(recipe, varied, overlays, options, prog)


def _compare(
    recipe: list[str], varied: Sequence[str], overlays: Sequence[str], options: Any, prog: str
) -> None:
    arms, rates = read_arms(varied, overlays)
    folder = Path(options.folder or _folder(recipe, varied, overlays))
    checked = [*recipe, *(f"{RATE}={rate!r}" for rate in rates[:1])]
    reference = require_equal(checked, arms, prog)
    if options.equal == "parameters":
        arms = with_equal_parameters(recipe, arms, prog)
    elif options.equal == "seconds":
        arms = with_equal_seconds(recipe, arms, reference, folder)
    metrics = [*options.metric.split(","), "parameters", "steps", "seconds"]
    if not options.maximized and LARGER.search(metrics[0]):
        raise UserError(f"More of {metrics[0]} is better; add --maximized.")
    chosen = [metric for metric in metrics if metric.startswith("val/")]
    study: dict[str, Any] = {
        "recipe": recipe,
        "variants": dict(arms),
        "metrics": metrics,
        "seeds": list(range(1, options.seeds + 1)),
        "baseline": next(iter(arms)),
        "learning_rates": list(rates),
        "chosen_by": chosen[0] if chosen else "val/nll",
        "tested": any(metric.startswith("test/") for metric in metrics),
        "maximized": _alike(metrics) if options.maximized else [],
        "same_data": {
            "files": sorted(set(named_files(reference["data"]))),
            "examples": options.equal != "seconds",
        },
    }
    variants = Variants(**{**study, "same_data": SameData(**study["same_data"])})
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(
        {"study": {"class_path": "Variants", "init_args": study}}, sort_keys=False
    )
    write_text(folder / COMPARISON, text)
    if options.report:
        variants.report(folder)
    else:
        variants.run(folder, options.jobs)
    print(f"\nEvery seed: {folder / 'seeds.png'}, {folder / 'results.csv'}", flush=True)


def _alike(metrics: Sequence[str]) -> list[str]:
    """Returns the first metric, and the same one of another split."""
    return [each for each in metrics if each.partition("/")[2] == metrics[0].partition("/")[2]]


def _divided(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Divides a command line into the options of the verb, and those of training."""
    own: list[tuple[str, str]] = []
    rest: list[str] = []
    following = iter(words)
    for word in following:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--")
        if word in ("-h", "--help"):
            own.append(("help", ""))
        elif not flag.startswith("--") or name not in (*REPEATED, *VALUED, *ALONE):
            rest.append(word)
        elif name in ALONE:
            own.append((name, value or "true"))
        else:
            own.append((name, value if equals else next(following, "")))
    return own, rest


def _folder(recipe: Sequence[str], varied: Sequence[str], overlays: Sequence[str]) -> Path:
    """Returns the folder of a comparison, named by its recipe and what is varied."""
    name = "-".join([recipes.run_name(recipe), *_names(varied), *["overlays"][: len(overlays)]])
    return Path("runs") / "compare" / name


def _names(varied: Sequence[str]) -> Iterator[str]:
    for text in varied:
        yield re.sub(r"\W+", "-", text.partition("=")[0].rpartition(".")[2])


def _parser(prog: str) -> VerbParser:
    parser = VerbParser(prog=prog, description=DESCRIPTION)
    for name in REPEATED:
        parser.add_argument(f"--{name}", type=str | None, help=HELP[name])
    parser.add_argument("--seeds", type=int, default=3, help=HELP["seeds"])
    parser.add_argument("--equal", type=Equal, default="steps", help=HELP["equal"])
    parser.add_argument("--jobs", type=int, default=processes(), help=HELP["jobs"])
    parser.add_argument("--metric", type=str, default="val/nll", help=HELP["metric"])
    parser.add_argument("--maximized", type=bool, default=False, help=HELP["maximized"])
    parser.add_argument("--folder", type=str | None, help=HELP["folder"])
    parser.add_argument("--report", type=bool, default=False, help=HELP["report"])
    return parser
