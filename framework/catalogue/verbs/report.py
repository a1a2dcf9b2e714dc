"""Writes a run or a study as one HTML file that can be sent and opened anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from framework.catalogue.plain_parser import PlainParser
from framework.catalogue.runs import find_runs
from framework.console import trust
from framework.console.errors import UserError
from framework.console.outputs import require_new

DESCRIPTION = (
    "Writes what a run or a study left as one HTML file: metrics beside simple predictions, "
    "curves, pictures, configuration and its difference to the recipe, environment, and the "
    "command that repeats it. The file loads nothing, and can be sent and opened anywhere."
)
if TYPE_CHECKING:
    from framework.catalogue.report.blocks import Report

SHOWN = 3  # runs that are named, at most
NAME = "report.html"  # in the folder, if no other is given


def run(words: list[str], prog: str) -> None:
    """Runs `report FOLDER [--output FILE.html] [--calibration NUMBER]`.

    Args:
        words: What follows `report` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or the folder is that of no run and no study.
        ValueError: If a file in it is damaged.
    """
    options = _parser(f"{prog} report").parse_args(words)
    folder, examples = Path(options.folder), options.calibration
    output = folder / NAME if options.output is None else Path(options.output)
    if options.output is not None:
        _require_output(output)
    report = _report(folder, examples)
    from framework.catalogue.report.page import html

    if output.exists():  # only that of the default name
        print(f"Replaced, an earlier report: {output}", file=sys.stderr)
    output.write_text(html(report), encoding="utf-8", errors="xmlcharrefreplace")
    print(output)


def _report(folder: Path, examples: int | None) -> Report:
    # These import TensorBoard, and some torch, which the help must not.
    from framework.catalogue.report.runs import is_run, report_run
    from framework.catalogue.report.studies import is_study, report_study

    if is_study(folder):
        if examples is not None:
            raise UserError(f"{folder} is a study; --calibration measures one of its runs.")
        return report_study(folder)
    if not is_run(folder):
        raise UserError(_no_run(folder))
    if examples is None:
        return report_run(folder)
    from framework.catalogue.report.calibration import measure

    return report_run(folder, measure(folder, examples))


def _no_run(folder: Path) -> str:
    """Says what a folder is that is no run, and which runs are in it."""
    names = [str(folder / run.name) for run in find_runs(folder)]  # refuses what is no folder
    if not names:
        return f"{folder} is no run and no study: it holds no config.yaml and no metrics.json."
    some = ", ".join(names[-SHOWN:])
    return f"{folder} is no run, but holds {len(names)}; name one, such as {some}."


def _require_output(path: Path) -> None:
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} for {path.name}; make it, or name one.")
    require_new(path, (".html",))


def _parser(prog: str) -> PlainParser:
    parser = PlainParser(prog, DESCRIPTION)
    parser.add_argument("folder", help="Of a run, such as runs/quickstart/version_0, or a study.")
    parser.add_argument("--output", help=f"The file, a new one; {NAME} in the folder by default.")
    several = "Measure the best checkpoint's calibration on so many examples of validation."
    parser.add_count("--calibration", several, 500)
    parser.epilog = trust.HELP
    return parser
