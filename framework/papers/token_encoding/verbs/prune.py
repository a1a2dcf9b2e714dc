"""Deletes dimensions of the read-out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from lightning.fabric import Fabric
from torch import Tensor

from framework.analysis.sample import Sample, Spread
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.modules.loading import load_module
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.options import PruneOptions, parse_rewriting
from framework.papers.token_encoding.pruning.deletion import Deletion, affordable, share
from framework.papers.token_encoding.pruning.divergence import Divergence, by_forward_pass, diverge
from framework.papers.token_encoding.pruning.orders import Order
from framework.papers.token_encoding.pruning.report import (
    MEASURES,
    WAYS,
    report_sweep,
    sweep_table,
    verdict,
)
from framework.papers.token_encoding.pruning.saliency import (
    PAPER,
    RANDOM,
    ROTATED,
    Saliency,
    SaliencyName,
)
from framework.papers.token_encoding.pruning.sweep import orders, sweep
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.readout_data import (
    ReadoutData,
    load_readout_data,
    read_split,
    versions,
)
from framework.papers.token_encoding.rewriting import Change, rewrite
from framework.tables import table

DESCRIPTION = (
    "Deletes dimensions of a read-out: CHECKPOINT NEW --fraction 0.3 writes the model to NEW, "
    "CHECKPOINT alone measures what every order of deletion costs, random ones included. "
    "Checkpoints come first, then options."
)
FORWARD = 32  # sequences in which the written model is compared with what was computed
AGREES = 1e-3, 0.02  # nats, and share of them, by which it may differ
BESIDE: tuple[SaliencyName, ...] = (PAPER, "energy_var", ROTATED)  # shown beside the chosen order


class Pruning(NamedTuple):
    """A checkpoint, and what is needed to prune it."""

    checkpoint: OpenedCheckpoint
    options: PruneOptions
    data: ReadoutData
    own: Readout  # on the device that computes
    saliency: Saliency
    contexts: Contexts  # of held-out text

    @property
    def where(self) -> str:
        """Names the contexts in which costs are measured."""
        return f"{self.options.held_out}, {len(self.contexts)} contexts"

    def cost(self, deletion: Deletion) -> Divergence:
        """Measures what a deletion costs in held-out text."""
        [cost] = diverge(self.own, self.contexts, [deletion])
        return cost


def run(words: list[str], program: str) -> None:
    """Runs `prune CHECKPOINT [NEW] [--OPTION VALUE ...]`.

    Args:
        words: What follows `prune` on the command line.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong, or excludes another.
        ValueError: If the checkpoint, the data or the request cannot be used.
    """
    example = "`prune CHECKPOINT NEW --fraction 0.3`, or `prune CHECKPOINT`"
    checkpoint, target, options = parse_rewriting(
        PruneOptions, words, f"{program} prune", DESCRIPTION, example
    )
    options.check(checkpoint, target)
    fabric = options.launch()
    pruning = _prepare(checkpoint, options, fabric)
    if not fabric.is_global_zero:
        return
    if target is None:
        _sweep(pruning)
    else:
        _prune(pruning, target, fabric)


def _prepare(checkpoint: OpenedCheckpoint, options: PruneOptions, fabric: Fabric) -> Pruning:
    data = load_readout_data(checkpoint, options, fabric)
    options.check_splits(data.statistics.provenance)
    held = read_split(checkpoint, options.data, options.held_out, options, fabric).contexts
    contexts = Contexts(held.hidden[: options.measured], held.target[: options.measured])
    weight, bias = data.readout.weight, data.readout.bias
    own = Readout(weight.to(fabric.device), None if bias is None else bias.to(fabric.device))
    saliency = Saliency(data.readout, data.statistics, options.vocabulary_size)
    return Pruning(checkpoint, options, data, own, saliency, contexts)


def _sweep(pruning: Pruning) -> None:
    """Measures what every order costs."""
    curves = sweep(pruning.saliency, pruning.own, pruning.contexts)
    where = f"{pruning.where}; zeros | mean folded"
    for measure, title in MEASURES.items():
        print(table(f"{title} ({where})", sweep_table(curves, measure)))
    print(f"\n{verdict(curves)}")
    folder = pruning.options.output_folder(pruning.checkpoint, "prune")
    print("\n" + "\n".join(str(path) for path in report_sweep(curves).write(folder)), flush=True)


def _prune(pruning: Pruning, target: Path, fabric: Fabric) -> None:
    """Writes the checkpoint, and compares its cost with that of other orders."""
    options = pruning.options
    order = pruning.saliency.order(options.saliency, options.seed)
    mean = pruning.data.statistics.mean if options.fold else None
    deletion = Deletion(order, _amount(pruning, order, mean), mean)
    cost = pruning.cost(deletion)
    paths = _write(pruning, target, deletion, cost)
    title = f"Cost of {deletion.count} of {order.dim} dimensions ({pruning.where})"
    print(table(title, _compare(pruning, deletion)))
    way = f"by {options.saliency}, {WAYS[options.fold]}: {cost.kl:.4f} nats of KL"
    print(f"\nDeleted {deletion.count} of {order.dim} dimensions {way}.")
    _verify(pruning, paths, deletion, fabric)
    print("\n".join(map(str, paths)), flush=True)


def _amount(pruning: Pruning, order: Order, mean: Tensor | None) -> int:
    """Returns how many dimensions to delete."""
    options = pruning.options
    if options.fraction is not None:
        return share(options.fraction, order.dim)
    if options.kl_budget is not None:
        name, measure, budget = "kl_budget", "kl", options.kl_budget
    else:
        assert options.js_budget is not None
        name, measure, budget = "js_budget", "js", options.js_budget

    @cache
    def cost(count: int) -> float:
        return float(getattr(pruning.cost(Deletion(order, count, mean)), measure))

    count = affordable(budget, cost, 0, order.dim)
    if count == 0:
        raise ValueError(
            f"prune: {name}={budget} is less than the {cost(1):.3g} nats that the first dimension "
            f"costs by {options.saliency}; give more, or choose another saliency."
        )
    return count


def _compare(pruning: Pruning, chosen: Deletion) -> list[list[str]]:
    """Returns a table of the same number of deletions in other orders, with zeros and means."""
    mean, own = pruning.data.statistics.mean, pruning.options.saliency
    name = f"{RANDOM} {pruning.options.seed}" if own == RANDOM else own
    others = {name: chosen.order} | orders(pruning.saliency, BESIDE)
    rows = {
        (name, way): Deletion(order, chosen.count, mean if folded else None)
        for name, order in others.items()
        for folded, way in WAYS.items()
    }
    costs = diverge(pruning.own, pruning.contexts, list(rows.values()))
    return [
        ["order", "way", *Divergence._fields],
        *([*key, *(f"{x:.4f}" for x in cost)] for key, cost in zip(rows, costs, strict=True)),
    ]


def _write(pruning: Pruning, target: Path, deletion: Deletion, cost: Divergence) -> list[Path]:
    """Writes the checkpoint with a note of what was deleted."""
    options, own = pruning.options, pruning.data.readout
    index = deletion.order.kept(deletion.count) if options.physical else None
    new = deletion.zeroed(own) if index is None else deletion.physical(own)
    bias = new.bias if options.fold else None
    where = {"split": options.held_out, "contexts": len(pruning.contexts)}
    note = {
        "verb": "prune",
        "source": str(pruning.checkpoint.path),
        "sha256": pruning.checkpoint.digest,
        "saliency": options.saliency,
        "seed": options.seed,
        "dimensions": deletion.order.dim,
        "deleted": deletion.count,
        "folded": options.fold,
        "physical": options.physical,
        **options.amounts,
        "cost": {**cost._asdict(), **where},
        "readout": pruning.data.statistics.fingerprint,
        "statistics": dict(pruning.data.statistics.provenance),
        "versions": versions(),
    }
    change = Change(new.weight, bias, index, options.untie)
    return rewrite(pruning.checkpoint.path, target, change, note)


def _verify(pruning: Pruning, paths: list[Path], deletion: Deletion, fabric: Fabric) -> None:
    """Reads the checkpoint again, and compares a forward pass with what was computed."""
    options = pruning.options
    examples = Spread(options.data.dataset(options.held_out), FORWARD)
    sample = Sample(examples, None, options.batch_size, fabric.device)
    before = pruning.data.module.float()
    after = load_module(paths[0]).to(fabric.device).float()
    forward, contexts = by_forward_pass(before, after, sample)
    [closed] = diverge(pruning.own, contexts, [deletion])
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
        f"{pruning.checkpoint.path}; computed for the same contexts: {closed.kl:.6f} and "
        f"{closed.nll:.6f}."
    )
