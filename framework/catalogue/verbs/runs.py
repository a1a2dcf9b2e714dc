"""Lists runs with their headline numbers."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from framework.catalogue.plain_parser import PlainParser
from framework.catalogue.runs import find_runs, metrics_of, rows
from framework.console.errors import UserError
from framework.tables import table

DESCRIPTION = "Lists the runs below a folder, the newest last, with their last numbers."


def run(words: list[str], prog: str) -> None:
    """Runs `runs [FOLDER] [--metric METRIC,METRIC] [--sort METRIC] [--last N] [--csv]`.

    Args:
        words: What follows `runs` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or no run has a metric.
        ValueError: If there is no such folder, or it is damaged.
    """
    options = _parser(f"{prog} runs").parse_args(words)
    found = find_runs(Path(options.folder))
    metrics = options.metric.split(",") if options.metric else metrics_of(found)
    for name in (*metrics, *([options.sort] if options.sort else ())):
        if not any(name in each.numbers for each in found):
            known = ", ".join(sorted({name for each in found for name in each.numbers}))
            raise UserError(f"No run in {options.folder} has {name}; choose from {known or '-'}.")
    if options.sort:
        found = [each for each in found if options.sort in each.numbers]
        found.sort(key=lambda each: each.numbers[options.sort], reverse=True)
    arranged = rows(found[-options.last :] if options.last else found, metrics)
    if options.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(arranged)
    else:
        print(table(f"{len(arranged) - 1} of {len(found)} runs in {options.folder}", arranged))


def _parser(prog: str) -> PlainParser:
    parser = PlainParser(prog, DESCRIPTION)
    parser.add_argument("folder", nargs="?", default="runs", help="Where they are: runs.")
    several = "Metrics to show, separated by commas; val/nll and the most frequent by default."
    parser.add_argument("--metric", help=several)
    parser.add_argument(
        "--sort", help="Metric to sort by, the smallest last; others are left out."
    )
    parser.add_count("--last", "Show only so many, the last ones.", 10)
    parser.add_argument("--csv", action="store_true", help="Write lines of CSV, not a table.")
    return parser
