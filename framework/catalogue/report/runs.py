"""The report of a run: its numbers, curves and pictures, and what they were made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

from framework.catalogue.report import logs
from framework.catalogue.report.blocks import (
    PNG,
    Block,
    Charts,
    Picture,
    Report,
    Section,
    Sentence,
    Table,
    Text,
)
from framework.catalogue.report.origins import environment, reproduction
from framework.catalogue.runs import (
    NOT_ENDED,
    FoundRun,
    facts_of,
    metrics_of,
    read_run,
    recipes_of,
)
from framework.event_files import Events
from framework.metric_tables import noted_scores, rows_by_stage, with_baselines
from framework.run_files import BASELINES, FIGURES, METRICS, PREDICTIONS

ROWS, LONGEST = 5, 2000  # rows of predictions that are shown, and their letters


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return (folder / METRICS).is_file() or bool(recipes_of(folder))


def report_run(folder: Path, calibration: Sequence[Block] = ()) -> Report:
    """Reports a run.

    Args:
        folder: Its log directory.
        calibration: What was measured of its predictions, see `calibration.measure`.

    Raises:
        ValueError: If a file in it is damaged.
        UserError: If its recipe is.
    """
    run, events = read_run(folder, folder), logs.read_logs(folder)
    if not run.ended:
        run = run._replace(numbers={**run.numbers, **_last(events.scalars)})
    recipes = recipes_of(folder)
    sections = {
        "Metrics": _metrics(run),
        "Curves": _curves(events),
        "Predictions": _predictions(folder, events),
        "Calibration": calibration,
        "Throughput": _throughput(run, events),
        "Configuration and reproduction": reproduction(recipes[-1]) if recipes else (),
        "Environment": environment(recipes[-1] if recipes else None),
    }
    return Report(
        _title(folder),
        ", ".join(_about(run)),
        [*_headline(run)],
        [Section(title, [*blocks]) for title, blocks in sections.items() if blocks],
    )


def _title(folder: Path) -> str:
    """Names a run as its last two folders are called: `quickstart/version_0`."""
    return "/".join(folder.resolve().parts[-2:])


def _about(run: FoundRun) -> Iterator[str]:
    _, time, kind, *_ = facts_of(run)
    yield kind.capitalize()
    yield time
    if run.kind == NOT_ENDED:
        yield "the numbers are the last ones that were logged"


def _last(scalars: logs.Scalars) -> dict[str, float]:
    """Returns the last value of each scalar, and the last step."""
    last = {name: [*series.values()][-1] for name, series in scalars.items()}
    steps = [step for series in scalars.values() for step in series]
    return {**last, "steps": max(steps)} if steps else {}


def _headline(run: FoundRun) -> Iterator[tuple[str, str, str]]:
    scores = noted_scores(run.numbers)
    for name in metrics_of([run]):
        metric = name.partition("/")[2]
        others = [f"{who} {part[metric]:.4g}" for who, part in scores.items() if metric in part]
        yield name, f"{run.numbers[name]:.4g}", ", ".join(others[:1])
    for name, unit in (("steps", ""), ("seconds", " s"), ("parameters", "")):
        if name in run.numbers:
            yield ("duration" if unit else name), f"{run.numbers[name]:,.0f}{unit}", ""


def _metrics(run: FoundRun) -> Sequence[Block]:
    others = (BASELINES, logs.SPEED)
    own = {name: x for name, x in run.numbers.items() if not name.startswith(others)}
    scores = noted_scores(run.numbers)
    rows = with_baselines(rows_by_stage(own), scores)
    if len(rows) == 1:
        return [Sentence("The run has no metrics yet.")]
    beside = ", beside simple predictions of the same examples" if scores else ""
    return [Table(rows, f"The last metrics of each stage{beside}")]


def _curves(events: Events) -> Sequence[Block]:
    learned = {k: v for k, v in events.scalars.items() if not k.startswith(logs.SPEED)}
    return [Charts(logs.charts(learned))] if learned else []


def _predictions(folder: Path, events: Events) -> Sequence[Block]:
    """Collects pictures: the files of the run, and those that it has only logged."""
    files = sorted(folder.rglob("*.png"))
    names = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    blocks: list[Block] = [
        Picture(name.removeprefix(f"{FIGURES}/"), path.read_bytes(), path)
        for name, path in names.items()
    ]
    blocks += [
        _logged(f"{name}, step {picture.step}", picture.png, folder)
        for name, picture in events.pictures.items()
        if f"{FIGURES}/{name}" not in names
    ]
    blocks += [Text(name, text, folded=False) for name, text in events.texts.items()]
    path = folder / PREDICTIONS
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip()[:LONGEST] for line in islice(file, ROWS)]
        blocks.append(Text(f"The first rows of {path.name}", "\n".join(lines), folded=False))
    return blocks


def _logged(title: str, picture: bytes, folder: Path) -> Block:
    if not picture.startswith(PNG):  # TensorBoard shows films, as GIF files, too
        return Sentence(f"{title}, is no PNG file, and shown by TensorBoard only.")
    return Picture(title, picture, folder)


def _throughput(run: FoundRun, events: Events) -> Sequence[Block]:
    speed = {k: v for k, v in events.scalars.items() if k.startswith(logs.SPEED)}
    rows = [["quantity", "value"], *_speeds(run.numbers)]
    rows += [
        [f"{name}, median", f"{median(series.values()):.5g}"] for name, series in speed.items()
    ]
    blocks: list[Block] = [Table(rows)] if len(rows) > 1 else []
    return [*blocks, Charts(logs.charts(speed))] if speed else blocks


def _speeds(numbers: Mapping[str, float]) -> Iterator[list[str]]:
    steps, seconds = numbers.get("steps"), numbers.get("seconds")
    if steps and seconds:
        yield ["steps", f"{steps:,.0f}"]
        yield ["seconds, with validation", f"{seconds:,.1f}"]
        yield ["steps per second", f"{steps / seconds:.4g}"]
