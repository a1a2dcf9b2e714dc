"""Forecasts what follows the last observation of every series."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.console.checkpoint_options import HELP
from framework.console.devices import fabric_on
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.console.outputs import TABLES, require_new, write_table
from framework.console.parsing import VerbParser
from framework.data.series.calendars import written
from framework.data.series.panels import PanelSource, load_panel, store_panel
from framework.forecasting.future import (
    LEVELS,
    PATHS,
    checked_levels,
    forecast,
    require_forecaster,
)
from framework.forecasting.picture import draw_future
from framework.tables import table

SHOWN = 12  # rows that are printed
SOURCE = "--data.source"
PICTURES = (".png", ".pdf", ".svg")


def run(words: list[str], prog: str) -> None:
    """Runs `forecast CHECKPOINT [--OPTION VALUE ...]`.

    Args:
        words: What follows `forecast` on the command line.
        prog: Name of the program.

    Raises:
        UserError: If an option is wrong, or a file to write exists.
        ValueError: If the checkpoint is no forecaster, or the series cannot be read.
    """
    parser = _parser(prog)
    if HELP & set(words):
        parser.parse(["--help"])
    if not words or words[0].startswith("-"):
        raise UserError(f"forecast needs a checkpoint first: `{prog} forecast CHECKPOINT`.")
    require_forecaster(words[0])
    given = parser.instantiate_classes(parser.parse([*_source_words(words), *words]))
    levels, source = _levels(given.levels), given.data.source
    output, plot = given.output, given.plot
    if source is None:
        raise UserError(
            f"No recipe beside the checkpoint {words[0]!r} names a source of series; choose one "
            f"with {SOURCE}."
        )
    for path, suffixes in ((output, TABLES), (plot, PICTURES)):
        if path is not None:
            require_new(path, suffixes)
    fabric = fabric_on(given.accelerator)
    module = OpenedCheckpoint(given.checkpoint).module.to(fabric.device)
    frame = forecast(
        module,  # type: ignore[arg-type]  # which has been checked
        source,
        horizon=given.horizon,
        levels=levels,
        paths=given.paths,
        seed=given.seed,
    )
    if output is None:
        print(_shortened(frame, str(given.checkpoint)))
        print(f"\nAll {len(frame):,} rows are written by --output forecast.csv (or .parquet).")
    else:
        write_table(frame, output)
        print(f"Forecast: {output}")
    if plot is not None:
        draw_future(frame, load_panel(store_panel(source))).savefig(plot, dpi=150)
        print(f"Picture: {plot}")


def _parser(prog: str) -> VerbParser:
    parser = VerbParser(
        prog=f"{prog} forecast",
        description="Forecasts what follows the last observation of every series. Futures are "
        "drawn path by path, beyond the horizon of training too.",
    )
    parser.add_argument("checkpoint", type=Path, help="A checkpoint of a Forecaster.")
    parser.add_argument(
        SOURCE, type=PanelSource, help="Where the series come from; those of training by default."
    )
    parser.add_argument(
        "--horizon", type=int | None, help="Steps to forecast; null: as many as in training."
    )
    parser.add_argument(
        "--levels",
        type=str,
        default=",".join(map(str, LEVELS)),
        help="Levels of the quantiles, separated by commas.",
    )
    parser.add_argument("--paths", type=int, default=PATHS, help="Futures drawn of each series.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the draws of all series.")
    parser.add_argument("--output", type=Path | None, help="Table to write: .parquet or .csv.")
    parser.add_argument("--plot", type=Path | None, help="Fan charts to draw: .png, .pdf or .svg.")
    parser.add_argument("--accelerator", type=str, default="auto", help="Device, as of trainers.")
    return parser


def _source_words(words: Sequence[str]) -> list[str]:
    """Returns the source of the recipe of the checkpoint, if known, unless another is named."""
    if any(word.partition("=")[0] == SOURCE for word in words):
        return []
    try:
        options = OpenedCheckpoint(Path(words[0])).data().get("init_args", {})
    except (UserError, ValueError):
        return []
    return [SOURCE, json.dumps(options["source"])] if "source" in options else []


def _levels(text: str) -> tuple[float, ...]:
    """Reads levels that are separated by commas."""
    try:
        return checked_levels([float(word) for word in text.strip("[]() ").split(",")])
    except ValueError as error:
        raise UserError(
            f"--levels={text} must be numbers between 0 and 1, each once, separated by commas; "
            "write for example 0.1,0.5,0.9."
        ) from error


def _shortened(frame: Any, checkpoint: str) -> str:
    """Lays out the first rows of a forecast."""
    first = frame.head(SHOWN)
    times = [str(time) for time in written(first["time"].to_numpy())]
    numbers = [[f"{x:.5g}" for x in first[name]] for name in frame.columns[3:]]
    steps = [str(step) for step in first["step"]]
    rows = zip(first["id"], times, steps, *numbers, strict=True)
    title = f"Forecast of {frame['id'].nunique():,} series by {checkpoint}"
    text = table(title, [list(frame.columns), *map(list, rows)])
    more = len(frame) - len(first)
    return f"{text}\n… {more:,} more rows" if more else text
