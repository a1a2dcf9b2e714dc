"""Makes tokens more or less likely by changing their rows in the read-out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from framework.analysis.report import Report
from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.checkpoints import digest, load_parameters, read
from framework.console.checkpoint_options import HELP, beside, leading, parse
from framework.console.errors import UserError
from framework.data.protocols import CountsTokens, ReadsCorpora
from framework.data.tokens.corpora import Corpus
from framework.modules.loading import load_module
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.checking import measured, warnings
from framework.papers.token_encoding.editing.directions import DEFAULT, DIRECTIONS, PAPER, Known
from framework.papers.token_encoding.editing.report import tell_edits, tell_study
from framework.papers.token_encoding.editing.rules import (
    EditRequest,
    Rule,
    applicable,
    know,
    measure,
    named,
    rules,
)
from framework.papers.token_encoding.editing.study import strata, try_edits
from framework.papers.token_encoding.readout_data import (
    SPLITS,
    Evidence,
    encoding_parser,
    evidence,
    read_split,
    versions,
)
from framework.papers.token_encoding.rewriting import EDITS, rewrite
from framework.papers.token_encoding.spread import Spread
from framework.papers.token_encoding.token_names import name, wished

DESCRIPTION = (
    "Multiplies averaged probabilities of tokens by changing their rows of the read-out: "
    "CHECKPOINT NEW --tokens '{\" return\": 10}' writes the model to NEW, without NEW nothing is "
    "written, and CHECKPOINT alone tells how far all rules hold on tokens of all kinds. "
    "Checkpoints come first, then options."
)
FIT, OTHER = "fit", "other"
FORWARD = 32  # sequences that the written model reads, to be held against the closed form
AGREES = 1e-3  # of logs of averaged probabilities


def run(words: list[str], prog: str) -> None:
    """Runs `edit CHECKPOINT [NEW] [--OPTION VALUE ...]`.

    Args:
        words: What follows `edit` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or does not go with another.
        ValueError: If the checkpoint, the data or what is asked cannot be used.
    """
    paths, options = leading(words)
    helped = bool(HELP & set(options))
    if not 1 <= len(paths) <= 2 and not helped:
        raise UserError(
            f"edit takes a checkpoint and the name of a new one, got {len(paths)} of them; say "
            "`edit CHECKPOINT NEW --tokens ...`."
        )
    given = _parse(paths[0] if paths else None, options, prog)
    source, target = paths[0], Path(paths[1]) if len(paths) == 2 else None
    wish = wished(given)
    _check(source, target, wish, given)
    elsewhere = _elsewhere(given)
    fabric = Fabric(accelerator=given.accelerator, devices=given.devices)
    fabric.launch()
    found = evidence(source, given, fabric)
    splits = {FIT: found.statistics.contexts}
    for split, data in ((given.held_out, given.data), (OTHER, elsewhere)):
        if data is not None:
            there = read_split(source, found.module, data, given.held_out, given, fabric)
            splits[split] = there.contexts
    if not fabric.is_global_zero:
        return
    known = _know(source, found, given.data)
    if wish is None:
        _tell(_study(found, known, splits, given.data), source, given)
        return
    rule = _edit(source, found, known, splits, wish, given)
    if target is not None:
        _write(Path(source), target, found, rule, wish, given, fabric)


def _parse(path: str | None, words: list[str], prog: str) -> Any:
    parser = encoding_parser(f"{prog} edit", DESCRIPTION)
    for option, keys in (("tokens", str), ("ids", int)):
        parser.add_argument(
            f"--{option}",
            type=dict[keys, float] | None,  # type: ignore[valid-type]  # the parser reads it
            default=None,
            help="By what to multiply which averaged probabilities.",
        )
    parser.add_argument(
        "--direction", choices=tuple(DIRECTIONS), default=DEFAULT, help="Where rows move to."
    )
    parser.add_argument(
        "--calibrate",
        type=bool,
        default=True,
        help="Solve for how far, on the contexts of the statistics.",
    )
    parser.add_argument(
        "--untie", type=bool, default=False, help="Give a tied read-out a matrix of its own."
    )
    parser.add_argument(
        "--stack",
        type=bool,
        default=False,
        help="Edit once more what was edited: scales multiply.",
    )
    parser.add_argument(
        "--held_out", choices=SPLITS, default="val", help="Where else to see what holds."
    )
    parser.add_subclass_arguments(Corpus, "other", required=False)
    return parse(parser, path, words)


# What is asked


def _check(source: str, target: Path | None, wish: EditRequest | None, given: Any) -> None:
    """Refuses, before anything is computed, what would be refused in the end."""
    held = read(source)
    if given.statistics is None and given.split == given.held_out:
        raise UserError(
            f"--held_out {given.held_out} is the split that the edit is fitted to; choose another."
        )
    if target is None:
        return
    if wish is None:
        raise UserError(f"Nothing says what to change in {target}; add --tokens or --ids.")
    if target.exists():
        raise UserError(f"{target} exists already; choose another name, or remove it.")
    if not given.stack and any(note.get("verb") == "edit" for note in held.get(EDITS, [])):
        raise UserError(
            f"The checkpoint {source!r} was edited before, and scales would multiply; edit the "
            "one that it came from, or add --stack true."
        )
    if not given.untie and held.get("hyper_parameters", {}).get("tied"):
        raise UserError(
            f"The checkpoint {source!r} reads out with the vectors of its embedding, which would "
            "change too; add --untie true to give the read-out a matrix of its own."
        )


def _elsewhere(given: Any) -> Any:
    corpus = getattr(given, OTHER, None)
    if corpus is None:
        return None
    if not isinstance(given.data, ReadsCorpora):
        raise UserError(
            f"{type(given.data).__name__} cannot read another corpus; drop --other, which goes "
            "with TokenData."
        )
    return given.data.elsewhere(corpus)


# What is found


def _know(path: str, found: Evidence, data: Any) -> Known:
    weight = found.module.head.output_embedding().weight
    names = {id(x): place for place, x in found.module.named_parameters()}
    place = names.get(id(weight))
    dtype = weight.dtype if place is None else load_parameters(Path(path))[place].dtype
    size = data.vocabulary_size if isinstance(data, CountsTokens) else None
    return know(found.readout, found.statistics, dtype, size)


def _study(found: Evidence, known: Known, splits: Mapping[str, Contexts], data: Any) -> Report:
    pushes, refused = applicable(known)
    _warn(refused.values())
    size = data.vocabulary_size if isinstance(data, CountsTokens) else None
    tokens = strata(found.statistics.alpha[:size])
    return tell_study(list(try_edits(found.readout, pushes, tokens, splits)))


def _edit(
    source: str,
    found: Evidence,
    known: Known,
    splits: Mapping[str, Contexts],
    wish: EditRequest,
    given: Any,
) -> Rule:
    """Tells what edits do, and returns the one that is asked for."""
    own, fit = found.readout, splits[FIT]
    every, refused = rules(known, own, fit, wish)
    wanted = named(given.direction, given.calibrate)
    for asked in (given.direction, wanted):
        if asked in refused:
            raise ValueError(refused[asked])
    [chosen] = [rule for rule in every if str(rule) == wanted]
    effects = {
        split: dict(zip(map(str, every), measure(own, contexts, wish, every), strict=True))
        for split, contexts in splits.items()
    }
    finding = tell_edits(wish, every, chosen, effects, given.held_out, partial(name, given.data))
    _tell(finding, source, given)
    paper = [rule for rule in every if rule.name == PAPER and rule is not chosen]
    beside_it = [chosen, *paper[:1]]
    gains = (f"{rule.push.gain(known.mean):.3f} of {rule.name}" for rule in beside_it)
    print(f"\nShift of logits on average for each nat that is promised: {', '.join(gains)}.")
    _warn(refused.values())
    for rule in beside_it:
        _warn(warnings(rule, known, own, fit, wish))
    return chosen


def _tell(finding: Report, source: str, given: Any) -> None:
    print(table(f"{finding.name.capitalize()} of {source}", finding.table))
    folder = Path(given.folder) if given.folder else beside(source, "edit")
    print("\n" + "\n".join(str(path) for path in finding.write(folder)), flush=True)


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print(f"edit: warning: {sentence}", file=sys.stderr)


# What is written


def _write(
    source: Path,
    target: Path,
    found: Evidence,
    rule: Rule,
    wish: EditRequest,
    given: Any,
    fabric: Fabric,
) -> None:
    """Writes the checkpoint, reads it again and holds it against the closed form."""
    note = {
        "verb": "edit",
        "source": str(source),
        "sha256": digest(source),
        "tokens": list(wish.names),
        "ids": wish.tokens.tolist(),
        "scale": wish.scale.tolist(),
        "direction": rule.name,
        "calibrated": rule.calibrated,
        "amount": rule.amount.tolist(),
        "readout": found.statistics.fingerprint,
        "statistics": dict(found.statistics.provenance),
        "versions": versions(),
    }
    change = rule.change(found.readout, wish, given.untie)
    paths = rewrite(source, target, change, note)
    examples = Spread(given.data.dataset(given.held_out), FORWARD)
    sample = Sample(examples, None, given.batch_size, fabric.device)
    written = load_module(target).to(fabric.device)
    forward, closed = measured(found.module, written, sample, wish)
    far = (forward - closed).abs().max().item()
    if not far <= AGREES:
        for path in paths:
            path.unlink()
        raise ValueError(
            f"The model that was written gives probabilities that are off by {far:.2%}, read "
            f"again from {target}, which was removed; please report this."
        )
    said = ", ".join(
        f"{alpha:.4g} of {token}"
        for token, alpha in zip(wish.names, forward.exp().tolist(), strict=True)
    )
    print(
        f"\nA forward pass of {target} over {len(examples)} sequences gives averaged "
        f"probabilities of {said}, which the closed form says, too, up to {far:.1g} of each."
    )
    print("\n".join(map(str, paths)), flush=True)
