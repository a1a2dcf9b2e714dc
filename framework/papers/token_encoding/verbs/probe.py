"""Measures how a read-out encodes the probabilities of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lightning.fabric import Fabric

from framework.analysis.report import Report
from framework.analysis.sample import Sample, Spread
from framework.console.checkpoint_options import HELP, leading, parse_options
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.module import PredictiveData
from framework.data.protocols import CountsTokens, ReadsText
from framework.papers.token_encoding.options import ProbeOptions
from framework.papers.token_encoding.probing.controls import (
    UNTRAINED,
    Start,
    controls,
    untrained,
)
from framework.papers.token_encoding.probing.interpretation import interpret
from framework.papers.token_encoding.probing.probe import Target
from framework.papers.token_encoding.probing.probe_report import ProbeReport, examine
from framework.papers.token_encoding.probing.report import (
    report_components,
    report_contexts,
    report_dimensions,
    report_probe,
)
from framework.papers.token_encoding.readout import embedding, readout
from framework.papers.token_encoding.readout_data import load_readout_data
from framework.papers.token_encoding.statistics import gather
from framework.tables import table

DESCRIPTION = (
    "Measures how linearly the read-out of a checkpoint encodes averaged probabilities and corpus "
    "frequencies of tokens, with a self-test. The checkpoint comes first, then options."
)
TARGETS: dict[str, tuple[Target, ...]] = {
    "all": ("alpha", "frequency"),
    "alpha": ("alpha",),
    "frequency": ("frequency",),
    "geometric": (),  # which is always probed, as the self-test
}
TITLES = {  # of tables that are printed
    "dimensions": "The dimensions that carry most, alone",
    "contexts": "Slope of -log alpha from few contexts, and that from all",
}
ALONE = (
    "There is no untrained model to compare with, as the read-out of this one is not initialized "
    "at random but read from a file."
)


def run(words: list[str], program: str) -> None:
    """Runs `probe CHECKPOINT [--OPTION VALUE ...]`.

    Args:
        words: What follows `probe` on the command line.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong.
        ValueError: If the checkpoint, its statistics or the data cannot be used.
    """
    paths, flags = leading(words)
    if len(paths) != 1 and not HELP & set(flags):
        raise UserError(
            f"probe takes one checkpoint, got {len(paths)}; write `probe CHECKPOINT`, then "
            "options."
        )
    checkpoint = OpenedCheckpoint(Path(paths[0])) if paths else None
    options = parse_options(ProbeOptions, f"{program} probe", DESCRIPTION, checkpoint, flags)
    assert checkpoint is not None
    fabric = options.launch()
    own = load_readout_data(checkpoint, options, fabric)
    start, rows = _start(checkpoint, options, fabric), embedding(own.module.stem)
    if not fabric.is_global_zero:
        return
    data = options.data
    report = examine(
        own.readout,
        own.statistics,
        TARGETS[options.target],
        data.counts() if isinstance(data, CountsTokens) else own.statistics.counts,
        options.vocabulary_size,
        options.ridge,
        options.folds,
    )
    others = controls(report, start, rows)
    reports = [report_probe(report, others, _writer(data)), report_dimensions(report)]
    reports += [report_contexts(report)] if report.contexts else []
    reports += [report_components(report)]
    notes = [ALONE] if options.untrained and start is None else []
    notes += interpret(report, others.get(UNTRAINED, {}))
    _show(checkpoint, report, reports, notes)
    folder = options.output_folder(checkpoint, "probe")
    written = _write(folder, report, reports, kept=options.statistics is None)
    print("\n" + "\n".join(map(str, written)), flush=True)


def _start(checkpoint: OpenedCheckpoint, options: ProbeOptions, fabric: Fabric) -> Start | None:
    """Reads some examples with the untrained model; all processes do so together."""
    module = untrained(checkpoint.path) if options.untrained else None
    if module is None:
        return None
    examples = Spread(options.data.dataset(options.split), options.untrained)
    sample = Sample(examples, None, options.batch_size, fabric.device)
    module = module.to(fabric.device)
    return Start(readout(module), gather(module, sample, contexts=1))


def _writer(data: PredictiveData) -> Callable[[int], str]:
    """Returns what writes a token in one line; "" where the data hold no text."""
    if not isinstance(data, ReadsText):
        return lambda token: ""
    return lambda token: json.dumps(data.decode([token]), ensure_ascii=False)[1:-1]


def _show(
    checkpoint: OpenedCheckpoint,
    report: ProbeReport,
    reports: Sequence[Report],
    notes: Sequence[str],
) -> None:
    statistics, known = report.statistics, report.known
    of = f"{known:,} tokens, {statistics.positions:,} contexts"
    print(table(f"Read-out of {checkpoint.path}: {of}", reports[0].table))
    for each in reports:
        if each.name in TITLES:
            print(table(TITLES[each.name], each.table))
    print("\n" + "\n".join(f"- {note}" for note in notes))


def _write(folder: Path, report: ProbeReport, reports: Sequence[Report], kept: bool) -> list[Path]:
    """Writes all files; statistics only if they were gathered here."""
    paths = [path for each in reports for path in each.write(folder)]
    report.save(folder / "probe.safetensors")
    if kept:
        report.statistics.save(folder / "statistics.safetensors")
    names = ("statistics.safetensors", "probe.safetensors") if kept else ("probe.safetensors",)
    return [*(folder / name for name in names), *paths]
