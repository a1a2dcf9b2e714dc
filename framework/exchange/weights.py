"""Weights: starts a run from the parameters of another model, as far as they fit."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from components.data import TokenSpec
from components.interfaces import Backbone, Head, Initialization, Stem
from framework.checkpoints import (
    PARTS,
    SHARDED,
    load_parameters,
    part_classes,
    read,
    require_no_nan,
)
from framework.data.tokens.text import TOKENIZER
from framework.exchange.conversion import import_directory
from framework.exchange.tokenizer import describe_tokenizer
from framework.tables import table

NAMED = 12  # tensors of a part that are named in the table, at most


@dataclass(frozen=True)
class Weights(Initialization):
    """Copies what fits from a checkpoint, or from a published model; `fit --init_from` does this.

    A tensor fits if the model has one of its name and shape; a table says what was loaded, what is
    fresh, and what was left out. Only parameters are copied: the run starts at step 0 with a new
    optimizer and schedule, while `--ckpt_path` resumes those of the checkpoint. The path is read
    each time the model is built; set `initialization` to null in Python code that loads a
    checkpoint afterwards.

    Args:
        path: A checkpoint of ours, a file or a folder of shards; or the directory of a published
            model that `overtone import` can read.
        fresh: Sets the parameters that do not fit; None leaves each part its own.
        parts: Parts that are copied, of stem, backbone and head; None for all. The backbone alone
            may be that of a model with another tokenizer.

    Raises:
        ValueError: If there is no such part.
    """

    path: str
    fresh: Initialization | None = None
    parts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Checks the names of parts."""
        wrong = [part for part in self.parts or () if part not in PARTS]
        if wrong or (self.parts is not None and not self.parts):
            raise ValueError(
                f"Weights: parts={self.parts} names {wrong[0] if wrong else 'no part'}; choose "
                f"among {', '.join(PARTS)}, or null for all."
            )

    @property
    def reads_data(self) -> bool:
        """Whether a part is copied whose parameters belong to what the data mean: no backbone."""
        return self.parts is None or set(self.parts) != {"backbone"}

    def source(self) -> Mapping[str, Any]:
        """Returns what the source holds besides parameters: of a directory the tokenizer alone.

        Raises:
            ValueError: If it cannot be read.
        """
        location = Path(self.path).expanduser()
        if not _is_published(location):
            return read(location) if location.exists() else {}
        tokenizer = describe_tokenizer(location, sys.maxsize)  # of no more tokens than the model
        return {} if tokenizer is None else {TOKENIZER: tokenizer}

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> Collection[str] | None:
        """Copies the parameters and buffers that fit; returns their names.

        Raises:
            ValueError: If the path cannot be read, nothing in it fits, or what fits is NaN.
        """
        if self.fresh is not None:
            self.fresh.apply(stem, backbone, head)
        parts = nn.ModuleDict({"stem": stem, "backbone": backbone, "head": head})
        expected = parts.state_dict()
        if any(tensor.is_meta for tensor in expected.values()):
            return None
        checkpoint = _read(self.path)
        found, classes = self._chosen(checkpoint["state_dict"]), part_classes(checkpoint)
        built = {name: type(part).__name__ for name, part in parts.items()}
        foreign = {name: kind for name, kind in classes.items() if kind != built[name]}
        comparison = Comparison(expected, found, foreign)
        if not comparison.fitting:
            raise ValueError(
                f"Weights: nothing in {self.path!r} fits this model: {comparison.difference()}; "
                "use a checkpoint of a similar model, or start without it."
            )
        require_no_nan("Weights", comparison.fitting)
        parts.load_state_dict(comparison.fitting, strict=False)
        _report(self.path, comparison, self._doubt(checkpoint))
        return comparison.fitting.keys()

    def _chosen(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {x: value for x, value in state.items() if _part(x) in (self.parts or PARTS)}

    def _doubt(self, checkpoint: Mapping[str, Any]) -> str:
        """Says that nothing tells whether ids mean what they mean in the data, or ""."""
        spec = checkpoint.get("hyper_parameters", {}).get("spec")
        kind = (checkpoint.get(TOKENIZER) or {}).get("kind", "numerals")
        if not (isinstance(spec, TokenSpec) and kind == "numerals" and self.reads_data):
            return ""
        return (
            f"{self.path} holds no tokenizer: that its token ids mean what they mean in the data "
            "cannot be checked."
        )


@dataclass(frozen=True)
class Comparison:
    """What of a checkpoint fits a model.

    Args:
        expected: Parameters and buffers of the model, by name.
        found: Those of the checkpoint.
        foreign: Classes of the parts (stem, backbone, head) of the checkpoint that are of another
            class in the model: they do not fit, even where shapes agree.
    """

    expected: Mapping[str, Tensor]
    found: Mapping[str, Tensor]
    foreign: Mapping[str, str]

    @property
    def fitting(self) -> dict[str, Tensor]:
        """The tensors of the checkpoint that fit, by name."""
        return {name: x for name, x in self.found.items() if self._fits(name)}

    def rows(self) -> list[list[str]]:
        """Counts the numbers that are loaded, fresh and left out, as rows of a table.

        Below each part are its tensors that are not loaded.
        """
        rows = [["part", "loaded", "fresh", "left out"]]
        for part in dict.fromkeys(map(_part, (*self.expected, *self.found))):
            rows += self._rows_of(part)
        return rows

    def _rows_of(self, part: str) -> list[list[str]]:
        here = {name: x for name, x in self.expected.items() if _part(name) == part}
        there = {name: x for name, x in self.found.items() if _part(name) == part}
        loaded = {name: x for name, x in here.items() if self._fits(name)}
        fresh = {name: x for name, x in here.items() if name not in loaded}
        left_out = {name: x for name, x in there.items() if name not in here}
        total = [part, *(f"{_size(group):,}" for group in (loaded, fresh, left_out))]
        named = [[f"  {self._label(name)}", "", f"{x.numel():,}", ""] for name, x in fresh.items()]
        for name, x in left_out.items():
            named.append([f"  {name} {list(x.shape)}", "", "", f"{x.numel():,}"])
        more = len(named) - NAMED
        return [total, *named[:NAMED], *([[f"  and {more} more", "", "", ""]] if more > 0 else [])]

    def difference(self) -> str:
        """Says how the first tensor that does not fit differs."""
        both = [name for name in self.expected if name in self.found]
        if not both:
            return f"it has no {next(iter(self.expected), 'parameters')}"
        return self._label(both[0])

    def _fits(self, name: str) -> bool:
        both = name in self.expected and name in self.found and _part(name) not in self.foreign
        return both and self.expected[name].shape == self.found[name].shape

    def _label(self, name: str) -> str:
        """Names a tensor of the model, and says why it is fresh."""
        label = f"{name} {list(self.expected[name].shape)}"
        if name not in self.found:
            return label
        if kind := self.foreign.get(_part(name)):
            return f"{label}, there of a {kind}"
        return f"{label}, there {list(self.found[name].shape)}"


def _part(name: str) -> str:
    return name.partition(".")[0]


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


@rank_zero_only
def _report(path: str, comparison: Comparison, doubt: str) -> None:
    print(table(f"Parameters from {path}", comparison.rows()), flush=True)
    if doubt:
        print(doubt, flush=True)


def _is_published(location: Path) -> bool:
    return location.is_dir() and not (location / SHARDED).is_file()


def _read(path: str) -> Mapping[str, Any]:
    """Reads a checkpoint, or a published model as one, with all its parameters by name."""
    location = Path(path).expanduser()
    if not location.exists():
        raise ValueError(
            f"Weights: there is no path={path!r}; check it, or choose initialization=null where a "
            "checkpoint is loaded anyway."
        )
    if _is_published(location):
        return import_directory(location).checkpoint
    return {**read(location), "state_dict": load_parameters(location)}
