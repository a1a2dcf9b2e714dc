"""Weights: starts a run from the parameters of another model, as far as they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from components.interfaces import Backbone, Head, Initialization, Stem
from framework.checkpoints import load_parameters, part_classes, read, require_no_nan
from framework.exchange.conversion import import_directory
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
    """

    path: str
    fresh: Initialization | None = None

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Copies the parameters and buffers that fit.

        Raises:
            ValueError: If the path cannot be read, nothing in it fits, or what fits is NaN.
        """
        if self.fresh is not None:
            self.fresh.apply(stem, backbone, head)
        parts = nn.ModuleDict({"stem": stem, "backbone": backbone, "head": head})
        expected = parts.state_dict()
        if any(tensor.is_meta for tensor in expected.values()):
            return
        found, classes = _read(self.path)
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
        _report(self.path, comparison)


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
def _report(path: str, comparison: Comparison) -> None:
    print(table(f"Parameters from {path}", comparison.rows()), flush=True)


def _read(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads parameters by name, and the classes of stem, backbone and head if they are known."""
    location = Path(path).expanduser()
    if not location.exists():
        raise ValueError(
            f"Weights: there is no path={path!r}; check it, or choose initialization=null where a "
            "checkpoint is loaded anyway."
        )
    if location.is_dir() and not (location / "meta.pt").is_file():
        checkpoint = import_directory(location).checkpoint
        return checkpoint["state_dict"], part_classes(checkpoint)
    return load_parameters(location), part_classes(read(location))
