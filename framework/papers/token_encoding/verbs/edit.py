"""Makes tokens more or less likely by changing their rows in the read-out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from lightning.fabric import Fabric

from framework.analysis.report import Report
from framework.analysis.sample import Sample, Spread
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.module import PredictiveData
from framework.data.protocols import ReadsCorpora
from framework.modules.loading import load_module
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import PAPER, Known, applicable, know
from framework.papers.token_encoding.editing.effects import measure, measured, warnings
from framework.papers.token_encoding.editing.report import report_edits, report_study
from framework.papers.token_encoding.editing.rules import (
    EditRequest,
    Rule,
    named,
    parse_request,
    rules,
    token_name,
)
from framework.papers.token_encoding.editing.study import strata, try_edits
from framework.papers.token_encoding.options import EditOptions, parse_rewriting
from framework.papers.token_encoding.readout_data import (
    ReadoutData,
    load_readout_data,
    read_split,
    versions,
)
from framework.papers.token_encoding.rewriting import rewrite
from framework.tables import table

DESCRIPTION = (
    "Multiplies averaged probabilities of tokens by changing their rows of the read-out: "
    "CHECKPOINT NEW --tokens '{\" return\": 10}' writes the model to NEW, without NEW nothing is "
    "written, and CHECKPOINT alone measures all rules on tokens of all frequencies. Checkpoints "
    "come first, then options."
)
FIT, OTHER = "fit", "other"
FORWARD = 32  # sequences in which the written model is compared with the closed form
AGREES = 1e-3  # error of logs of averaged probabilities


def run(words: list[str], program: str) -> None:
    """Runs `edit CHECKPOINT [NEW] [--OPTION VALUE ...]`.

    Args:
        words: What follows `edit` on the command line.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong, or excludes another.
        ValueError: If the checkpoint, the data or the request cannot be used.
    """
    command, example = f"{program} edit", "`edit CHECKPOINT NEW --tokens ...`"
    checkpoint, target, options = parse_rewriting(
        EditOptions, words, command, DESCRIPTION, example
    )
    request = parse_request(options.tokens or {}, options.ids or {}, options.data)
    options.check(checkpoint, target, request is not None)
    other = _other_corpus(options)
    fabric = options.launch()
    own = load_readout_data(checkpoint, options, fabric)
    splits = {FIT: own.statistics.contexts}
    for split, data in ((options.held_out, options.data), (OTHER, other)):
        if data is not None:
            there = read_split(checkpoint, data, options.held_out, options, fabric)
            splits[split] = there.contexts
    if not fabric.is_global_zero:
        return
    known = _know(checkpoint, own, options)
    if request is None:
        _print(_study(own, known, splits, options), checkpoint, options)
        return
    rule = _edit(checkpoint, own, known, splits, request, options)
    if target is not None:
        _write(checkpoint, target, own, rule, request, options, fabric)


def _other_corpus(options: EditOptions) -> PredictiveData | None:
    if options.other is None:
        return None
    if not isinstance(options.data, ReadsCorpora):
        raise UserError(
            f"{type(options.data).__name__} cannot read another corpus; drop --other, which goes "
            "with TokenData."
        )
    data: PredictiveData = options.data.elsewhere(options.other)
    return data


# Effects


def _know(checkpoint: OpenedCheckpoint, own: ReadoutData, options: EditOptions) -> Known:
    weight = own.module.head.output_embedding().weight
    names = {id(x): place for place, x in own.module.named_parameters()}
    dtype = checkpoint.stored_dtypes().get(names.get(id(weight), ""), weight.dtype)
    return know(own.readout, own.statistics, dtype, options.vocabulary_size)


def _study(
    own: ReadoutData, known: Known, splits: Mapping[str, Contexts], options: EditOptions
) -> Report:
    directions, refused = applicable(known)
    _warn(refused.values())
    tokens = strata(own.statistics.alpha[: options.vocabulary_size])
    return report_study(list(try_edits(own.readout, directions, tokens, splits)))


def _edit(
    checkpoint: OpenedCheckpoint,
    own: ReadoutData,
    known: Known,
    splits: Mapping[str, Contexts],
    request: EditRequest,
    options: EditOptions,
) -> Rule:
    """Reports what edits do, and returns the one that is requested."""
    every, refused = rules(known, own.readout, splits[FIT], request)
    requested = named(options.direction, options.calibrate)
    for name in (options.direction, requested):
        if name in refused:
            raise ValueError(refused[name])
    [chosen] = [rule for rule in every if str(rule) == requested]
    effects = {
        split: dict(
            zip(map(str, every), measure(own.readout, contexts, request, every), strict=True)
        )
        for split, contexts in splits.items()
    }
    name_token = partial(token_name, options.data)
    _print(
        report_edits(request, every, chosen, effects, options.held_out, name_token),
        checkpoint,
        options,
    )
    paper = [rule for rule in every if rule.name == PAPER and rule is not chosen]
    shown = [chosen, *paper[:1]]
    gains = (f"{rule.per_nat.gain(known.mean):.3f} of {rule.name}" for rule in shown)
    print(f"\nMean shift of logits per nat that is promised: {', '.join(gains)}.")
    _warn(refused.values())
    for rule in shown:
        _warn(warnings(rule, known, own.readout, splits[FIT], request))
    return chosen


def _print(report: Report, checkpoint: OpenedCheckpoint, options: EditOptions) -> None:
    print(table(f"{report.name.capitalize()} of {checkpoint.path}", report.table))
    folder = options.output_folder(checkpoint, "edit")
    print("\n" + "\n".join(str(path) for path in report.write(folder)), flush=True)


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print(f"edit: warning: {sentence}", file=sys.stderr)


# The new checkpoint


def _write(
    checkpoint: OpenedCheckpoint,
    target: Path,
    own: ReadoutData,
    rule: Rule,
    request: EditRequest,
    options: EditOptions,
    fabric: Fabric,
) -> None:
    """Writes the checkpoint, reads it again and compares it with the closed form."""
    note = {
        "verb": "edit",
        "source": str(checkpoint.path),
        "sha256": checkpoint.digest,
        "tokens": list(request.names),
        "ids": request.tokens.tolist(),
        "scale": request.scale.tolist(),
        "direction": rule.name,
        "calibrated": rule.calibrated,
        "amount": rule.amount.tolist(),
        "readout": own.statistics.fingerprint,
        "statistics": dict(own.statistics.provenance),
        "versions": versions(),
    }
    change = rule.change(own.readout, request, options.untie)
    paths = rewrite(checkpoint.path, target, change, note)
    examples = Spread(options.data.dataset(options.held_out), FORWARD)
    sample = Sample(examples, None, options.batch_size, fabric.device)
    written = load_module(target).to(fabric.device)
    forward, closed = measured(own.module, written, sample, request)
    error = (forward - closed).abs().max().item()
    if not error <= AGREES:
        for path in paths:
            path.unlink()
        raise ValueError(
            f"The model that was written gives probabilities that are off by {error:.2%}, read "
            f"again from {target}, which was removed; please report this."
        )
    averages = ", ".join(
        f"{alpha:.4g} of {token}"
        for token, alpha in zip(request.names, forward.exp().tolist(), strict=True)
    )
    print(
        f"\nA forward pass of {target} over {len(examples)} sequences gives averaged "
        f"probabilities of {averages}, within {error:.1g} of the closed form (relative)."
    )
    print("\n".join(map(str, paths)), flush=True)
