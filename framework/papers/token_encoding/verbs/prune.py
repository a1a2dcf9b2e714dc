"""Deletes dimensions of the read-out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lightning.fabric import Fabric
from torch import Tensor

from framework.analysis.sample import Sample
from framework.callbacks.table import table
from framework.checkpoints import digest
from framework.console.checkpoint_options import HELP, beside, leading
from framework.console.errors import UserError
from framework.data.protocols import CountsTokens
from framework.modules.loading import load_module
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.prune_options import (
    AMOUNTS,
    check_options,
    check_splits,
    parse_options,
)
from framework.papers.token_encoding.pruning.deletion import Deletion, affordable, share
from framework.papers.token_encoding.pruning.divergence import Divergence, by_forward_pass, diverge
from framework.papers.token_encoding.pruning.orders import Order
from framework.papers.token_encoding.pruning.report import (
    MEASURES,
    WAYS,
    sweep_table,
    tell_sweep,
    verdict,
)
from framework.papers.token_encoding.pruning.saliency import PAPER, RANDOM, ROTATED, Saliency
from framework.papers.token_encoding.pruning.sweep import orders, sweep
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.readout_data import (
    Evidence,
    evidence,
    read_split,
    versions,
)
from framework.papers.token_encoding.rewriting import Change, rewrite
from framework.papers.token_encoding.spread import Spread

FORWARD = 32  # sequences that the written model reads, to be held against what was computed
AGREES = 1e-3, 0.02  # nats, and share of them, by which it may differ
BESIDE = (PAPER, "energy_var", ROTATED)  # orders that are told beside that which is chosen


class Found(NamedTuple):
    """What is known of a checkpoint."""

    path: str
    evidence: Evidence
    own: Readout  # on the device that computes
    saliency: Saliency
    contexts: Contexts  # of held-out text

    def cost(self, deletion: Deletion) -> Divergence:
        """Measures what a deletion costs in held-out text."""
        [found] = diverge(self.own, self.contexts, [deletion])
        return found


def run(words: list[str], prog: str) -> None:
    """Runs `prune CHECKPOINT [NEW] [--OPTION VALUE ...]`.

    Args:
        words: What follows `prune` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or does not go with another.
        ValueError: If the checkpoint, the data or what is asked cannot be used.
    """
    paths, options = leading(words)
    if not 1 <= len(paths) <= 2 and not HELP & set(options):
        raise UserError(
            f"prune takes a checkpoint and the name of a new one, got {len(paths)} of them; say "
            "`prune CHECKPOINT NEW --fraction 0.3`, or `prune CHECKPOINT`."
        )
    given = parse_options(paths[0] if paths else None, options, prog)
    target = Path(paths[1]) if len(paths) == 2 else None
    check_options(paths[0], target, given)
    fabric = Fabric(accelerator=given.accelerator, devices=given.devices)
    fabric.launch()
    found = _find(paths[0], given, fabric)
    if not fabric.is_global_zero:
        return
    if target is None:
        _sweep(found, given)
    else:
        _prune(found, target, given, fabric)


def _find(path: str, given: Any, fabric: Fabric) -> Found:
    known = evidence(path, given, fabric)
    check_splits(known.statistics.provenance, given)
    held = read_split(path, known.module, given.data, given.held_out, given, fabric).contexts
    contexts = Contexts(held.hidden[: given.measured], held.target[: given.measured])
    weight, bias = known.readout.weight, known.readout.bias
    own = Readout(weight.to(fabric.device), None if bias is None else bias.to(fabric.device))
    size = given.data.vocabulary_size if isinstance(given.data, CountsTokens) else None
    return Found(path, known, own, Saliency(known.readout, known.statistics, size), contexts)


def _sweep(found: Found, given: Any) -> None:
    """Tells what every order costs."""
    curves = sweep(found.saliency, found.own, found.contexts)
    where = f"{given.held_out}, {len(found.contexts)} contexts; zeros | mean folded"
    for measure, title in MEASURES.items():
        print(table(f"{title} ({where})", sweep_table(curves, measure)))
    print(f"\n{verdict(curves)}")
    folder = Path(given.folder) if given.folder else beside(found.path, "prune")
    print("\n" + "\n".join(str(path) for path in tell_sweep(curves).write(folder)), flush=True)


def _prune(found: Found, target: Path, given: Any, fabric: Fabric) -> None:
    """Writes the checkpoint, and tells what that costs, what other orders do, and what it is."""
    order = found.saliency.order(given.saliency, given.seed)
    mean = found.evidence.statistics.mean if given.fold else None
    deletion = Deletion(order, _amount(found, order, mean, given), mean)
    cost = found.cost(deletion)
    paths = _write(found, target, deletion, cost, given)
    where = f"{given.held_out}, {len(found.contexts)} contexts"
    title = f"What {deletion.count} of {order.dim} dimensions cost ({where})"
    print(table(title, _compare(found, deletion, given)))
    way = f"by {given.saliency}, {WAYS[given.fold]}: {cost.kl:.4f} nats of KL"
    print(f"\nDeleted {deletion.count} of {order.dim} dimensions {way}.")
    _verify(found, paths, deletion, given, fabric)
    print("\n".join(map(str, paths)), flush=True)


def _amount(found: Found, order: Order, mean: Tensor | None, given: Any) -> int:
    """Returns how many dimensions to delete."""
    if given.fraction is not None:
        return share(given.fraction, order.dim)
    name, measure = ("kl_budget", "kl") if given.js_budget is None else ("js_budget", "js")
    budget: float = getattr(given, name)

    @cache
    def cost(count: int) -> float:
        return float(getattr(found.cost(Deletion(order, count, mean)), measure))

    count = affordable(budget, cost, 0, order.dim)
    if count == 0:
        raise ValueError(
            f"prune: {name}={budget} is less than the {cost(1):.3g} nats that the first dimension "
            f"costs by {given.saliency}; give more, or choose another saliency."
        )
    return count


def _compare(found: Found, chosen: Deletion, given: Any) -> list[list[str]]:
    """Arranges what the same number of deletions costs in other orders, in both ways."""
    mean = found.evidence.statistics.mean
    name = f"{RANDOM} {given.seed}" if given.saliency == RANDOM else given.saliency
    others = {name: chosen.order} | orders(found.saliency, BESIDE)
    rows = {
        (name, way): Deletion(order, chosen.count, mean if folded else None)
        for name, order in others.items()
        for folded, way in WAYS.items()
    }
    costs = diverge(found.own, found.contexts, list(rows.values()))
    return [
        ["order", "way", *Divergence._fields],
        *([*key, *(f"{x:.4f}" for x in cost)] for key, cost in zip(rows, costs, strict=True)),
    ]


def _write(
    found: Found, target: Path, deletion: Deletion, cost: Divergence, given: Any
) -> list[Path]:
    """Writes the checkpoint with a note of what was done."""
    index = deletion.order.kept(deletion.count) if given.physical else None
    own, source = found.evidence.readout, Path(found.path)
    new = deletion.zeroed(own) if index is None else deletion.physical(own)
    bias = new.bias if given.fold else None
    note = {
        "verb": "prune",
        "source": found.path,
        "sha256": digest(source),
        "saliency": given.saliency,
        "seed": given.seed,
        "dimensions": deletion.order.dim,
        "deleted": deletion.count,
        "folded": given.fold,
        "physical": given.physical,
        **{name: getattr(given, name) for name in AMOUNTS},
        "cost": {**cost._asdict(), "split": given.held_out, "contexts": len(found.contexts)},
        "readout": found.evidence.statistics.fingerprint,
        "statistics": dict(found.evidence.statistics.provenance),
        "versions": versions(),
    }
    return rewrite(source, target, Change(new.weight, bias, index, given.untie), note)


def _verify(
    found: Found, paths: list[Path], deletion: Deletion, given: Any, fabric: Fabric
) -> None:
    """Reads the checkpoint again, and holds a forward pass against what is computed."""
    examples = Spread(given.data.dataset(given.held_out), FORWARD)
    sample = Sample(examples, None, given.batch_size, fabric.device)
    before, after = found.evidence.module.float(), load_module(paths[0]).to(fabric.device).float()
    forward, contexts = by_forward_pass(before, after, sample)
    [closed] = diverge(found.own, contexts, [deletion])
    absolute, relative = AGREES
    if not abs(forward.kl - closed.kl) <= absolute + relative * closed.kl:
        for path in paths:
            path.unlink()
        raise ValueError(
            f"The model that was written differs by {forward.kl:.4g} nats of KL, read again from "
            f"{paths[0]}, in place of {closed.kl:.4g}, and was removed; please report this."
        )
    print(
        f"\nA forward pass of {paths[0]} over {len(examples)} sequences differs by "
        f"{forward.kl:.6f} nats of KL and {forward.nll:.6f} nats of loss from one of "
        f"{found.path}; computed for the same contexts: {closed.kl:.6f} and {closed.nll:.6f}."
    )
