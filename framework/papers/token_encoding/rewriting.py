"""Checkpoints with another read-out: what is not part of it stays as it was, bit for bit."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from framework.checkpoint_files import save
from framework.checkpoints import NOTE, compare, load_parameters, read, recipe_of
from framework.data.tokens.text import TOKENIZER
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module

EDITS = "edits"
"""Where a checkpoint notes how its read-out was changed: a list of plain data."""

PRUNED = "framework.papers.token_encoding.PrunedHead"
NARROWED = ("LinearHead", "PrunedHead")  # heads whose read-out can leave out dimensions
FACTS = ("_class_path", "_instantiator", "spec")  # of a checkpoint, that are no options of it
COPIED = ("epoch", "global_step", "pytorch-lightning_version", TOKENIZER)


@dataclass(frozen=True, eq=False)
class Change:
    """The new read-out.

    Args:
        weight: Its rows, `[V, D]`, or `[V, K]` where dimensions are left out; None to leave them.
        bias: A constant of each token, `[V]`, also for a read-out that had none; None to leave it.
        kept: The dimensions that a narrower read-out reads, `[K]`; None for all.
        untie: Whether a read-out that is tied to the embedding becomes a matrix of its own.
    """

    weight: Tensor | None = None
    bias: Tensor | None = None
    kept: Tensor | None = None
    untie: bool = False


def rewrite(source: Path, target: Path, change: Change, note: Mapping[str, Any]) -> list[Path]:
    """Writes a checkpoint again with another read-out, and its recipe beside it.

    The state of the optimizer is left out, as it belongs to other parameters.

    Args:
        source: The checkpoint, a file or a folder of shards; it is not changed.
        target: The file to write.
        change: The new read-out; numbers take on the type of the present ones.
        note: What to add to the list `edits` of the checkpoint, in plain data.

    Returns:
        The files that were written: checkpoint and recipe.

    Raises:
        ValueError: If a file exists already, the checkpoint cannot be read, or its read-out cannot
            be changed in this way.
    """
    recipe = target.with_suffix(".yaml")
    for path in (target, recipe):
        if path.exists():
            raise ValueError(f"{path} exists already; choose another name, or remove it.")
    owner, held, state = f"The checkpoint {str(source)!r}", read(source), load_parameters(source)
    before = _Built(owner, held.get("hyper_parameters", {}))
    before.require(state, change)
    after = _Built(owner, _options(owner, before, change))
    known = {**state, **_entries(before, after, state, change)}
    changed = {name: known[name] for name in after.module.state_dict() if name in known}
    compare(owner, after.module.state_dict(), changed)
    checkpoint = {
        **{name: held[name] for name in COPIED if name in held},
        "state_dict": changed,
        "hyper_parameters": after.options,
        EDITS: [*held.get(EDITS, []), dict(note)],
        NOTE: recipe.name,
    }
    text = _recipe(source, after.options)
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, lambda path: save(checkpoint, path))
    _write(recipe, lambda path: path.write_text(text, encoding="utf-8"))
    return [target, recipe]


class _Built:
    """A model without memory, and the names of what it reads out with.

    Args:
        owner: Whose it is, for messages.
        options: The hyper-parameters of its checkpoint.
    """

    def __init__(self, owner: str, options: Mapping[str, Any]) -> None:
        self.owner, self.options = owner, options
        self.module: PredictiveModule = build_module(owner, deepcopy(dict(options)))
        with torch.device("meta"):
            self.module.configure_model()
        _, weight, bias = self.module.head.output_embedding()
        names = {id(x): name for name, x in self.module.named_parameters()}
        self.weight, self.bias = names.get(id(weight)), names.get(id(bias))
        self.tied = any(parameter is weight for parameter in self.module.stem.parameters())
        self.narrow = [f"head.{name}" for name, _ in self.module.head.named_buffers()]

    def require(self, state: Mapping[str, Tensor], change: Change) -> None:
        """Checks that the read-out is in the checkpoint, and that nothing else would change."""
        if self.weight not in state:
            raise ValueError(
                f"{self.owner} does not hold the read-out of its "
                f"{type(self.module.head).__name__}, which lies in files of another model; import "
                "that model with `overtone import` and change it there."
            )
        if self.tied and not change.untie:
            raise ValueError(
                f"{self.owner} reads out with the vectors of its embedding, which would change "
                "too; add --untie true to give the read-out a matrix of its own."
            )


def _options(owner: str, before: _Built, change: Change) -> dict[str, Any]:
    """Describes the model with the other read-out."""
    options = deepcopy(dict(before.options))
    if before.tied:
        options["tied"] = False
    head = options["head"]
    own = dict(head.get("init_args") or {})
    name = head["class_path"].rpartition(".")[2]
    if change.kept is not None:
        if name not in NARROWED:
            raise ValueError(
                f"{owner} has a {name}, whose read-out does not read hidden states themselves, so "
                "that no dimension can be left out; set its columns to zero instead."
            )
        bias = before.bias is not None
        head, own = {"class_path": PRUNED}, {"kept": len(change.kept), "bias": bias}
    if change.bias is not None:
        own["bias"] = True
    options["head"] = {**head, "init_args": own}
    return options


def _entries(
    before: _Built, after: _Built, state: Mapping[str, Tensor], change: Change
) -> dict[str, Tensor]:
    """Returns the parameters and buffers of the other read-out."""
    assert before.weight is not None
    assert after.weight is not None
    present = state[before.weight]
    wanted = present if change.weight is None else change.weight
    entries = {after.weight: wanted.to(present.dtype, copy=True)}
    if after.bias is not None:
        constant = state[before.bias] if change.bias is None and before.bias else change.bias
        assert constant is not None
        entries[after.bias] = constant.to(present.dtype, copy=True)
    for name in after.narrow:
        kept = change.kept
        if kept is not None:
            entries[name] = state[name][kept] if name in state else kept.clone()
    return entries


def _recipe(source: Path, options: Mapping[str, Any]) -> str:
    """Writes the recipe of the source, if there is one, with the model as it is now."""
    try:
        recipe = yaml.safe_load(recipe_of(str(source)).read_text(encoding="utf-8"))
    except ValueError:
        recipe = {}
    own = {name: value for name, value in options.items() if name not in FACTS}
    recipe["model"] = {"class_path": options["_class_path"], "init_args": own}
    text: str = yaml.safe_dump(recipe, sort_keys=False)
    return text


def _write(target: Path, write: Callable[[Path], object]) -> None:
    """Writes a file aside, and renames it once it is complete."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        write(aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
