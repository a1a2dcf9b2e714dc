"""Measures how a read-out encodes the probabilities of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, restricted_number_type
from lightning.fabric import Fabric

from framework.analysis.report import Report
from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.console.checkpoint_options import HELP, beside, leading, parse
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.data.protocols import CountsTokens, ReadsText
from framework.papers.token_encoding.probing.controls import (
    UNTRAINED,
    Start,
    controls,
    untrained,
)
from framework.papers.token_encoding.probing.examination import ProbeReport, examine
from framework.papers.token_encoding.probing.probe import Target
from framework.papers.token_encoding.probing.remarks import remarks
from framework.papers.token_encoding.probing.report import (
    tell_components,
    tell_contexts,
    tell_dimensions,
    tell_probe,
)
from framework.papers.token_encoding.readout import embedding, readout
from framework.papers.token_encoding.readout_data import encoding_parser, evidence
from framework.papers.token_encoding.spread import Spread
from framework.papers.token_encoding.statistics import gather

DESCRIPTION = (
    "Tells how linearly the read-out of a checkpoint encodes averaged probabilities and corpus "
    "frequencies of tokens, and tests itself. The checkpoint comes first, then options."
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
SEQUENCES = 64  # that an untrained model reads, by default
ALONE = (
    "There is no untrained model to compare with, as the read-out of this one is not drawn but "
    "read from a file."
)
Folds = restricted_number_type("Folds", int, (">=", 2))


def run(words: list[str], prog: str) -> None:
    """Runs `probe CHECKPOINT [--OPTION VALUE ...]`.

    Args:
        words: What follows `probe` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong.
        ValueError: If the checkpoint, its statistics or the data cannot be used.
    """
    paths, options = leading(words)
    if len(paths) != 1 and not HELP & set(options):
        raise UserError(
            f"probe asks one checkpoint, got {len(paths)}; say `probe CHECKPOINT`, then options."
        )
    given = _parse(paths[0] if paths else None, options, prog)
    fabric = Fabric(accelerator=given.accelerator, devices=given.devices)
    fabric.launch()
    found = evidence(paths[0], given, fabric)
    start, rows = _start(paths[0], given, fabric), embedding(found.module.stem)
    if not fabric.is_global_zero:
        return
    counted = given.data if isinstance(given.data, CountsTokens) else None
    said = examine(
        found.readout,
        found.statistics,
        TARGETS[given.target],
        found.statistics.counts if counted is None else counted.counts(),
        None if counted is None else counted.vocabulary_size,
        given.ridge,
        given.folds,
    )
    held = controls(said, start, rows)
    findings = [tell_probe(said, held, _writer(given.data)), tell_dimensions(said)]
    findings += [tell_contexts(said)] if said.contexts else []
    findings += [tell_components(said)]
    notes = [ALONE] if given.untrained and start is None else []
    notes += remarks(said, held.get(UNTRAINED, {}))
    _show(paths[0], said, findings, notes)
    folder = Path(given.folder) if given.folder else beside(paths[0], "probe")
    written = _write(folder, said, findings, kept=given.statistics is None)
    print("\n" + "\n".join(map(str, written)), flush=True)


def _parse(path: str | None, words: Sequence[str], prog: str) -> Any:
    parser = encoding_parser(f"{prog} probe", DESCRIPTION)
    parser.add_argument(
        "--target", choices=tuple(TARGETS), default="all", help="What is looked for in the rows."
    )
    parser.add_argument(
        "--ridge", type=NonNegativeFloat, default=0.0, help="Penalty of the slope; 1 is much."
    )
    parser.add_argument(
        "--folds", type=Folds, default=5, help="Parts of the tokens, for cross-validation."
    )
    parser.add_argument(
        "--untrained",
        type=NonNegativeInt,
        default=SEQUENCES,
        help="Examples that a model of random weights reads, as a control; 0 for no such model.",
    )
    return parse(parser, path, words)


def _start(path: str, given: Any, fabric: Fabric) -> Start | None:
    """Reads some examples with the untrained model; all processes do so together."""
    module = untrained(path) if given.untrained else None
    if module is None:
        return None
    examples = Spread(given.data.dataset(given.split), given.untrained)
    sample = Sample(examples, None, given.batch_size, fabric.device)
    module = module.to(fabric.device)
    return Start(readout(module), gather(module, sample, contexts=1))


def _writer(data: PredictiveData) -> Callable[[int], str]:
    """Returns what writes a token in one line; "" where the data hold no text."""
    if not isinstance(data, ReadsText):
        return lambda token: ""
    return lambda token: json.dumps(data.decode([token]), ensure_ascii=False)[1:-1]


def _show(path: str, said: ProbeReport, findings: Sequence[Report], notes: Sequence[str]) -> None:
    statistics, known = said.statistics, said.known
    of = f"{known:,} tokens, {statistics.positions:,} contexts"
    print(table(f"Read-out of {path}: {of}", findings[0].table))
    for finding in findings:
        if finding.name in TITLES:
            print(table(TITLES[finding.name], finding.table))
    print("\n" + "\n".join(f"- {note}" for note in notes))


def _write(folder: Path, said: ProbeReport, findings: Sequence[Report], kept: bool) -> list[Path]:
    """Writes all files; statistics only if they were gathered here."""
    paths = [path for finding in findings for path in finding.write(folder)]
    said.save(folder / "probe.safetensors")
    if kept:
        said.statistics.save(folder / "statistics.safetensors")
    names = ("statistics.safetensors", "probe.safetensors") if kept else ("probe.safetensors",)
    return [*(folder / name for name in names), *paths]
