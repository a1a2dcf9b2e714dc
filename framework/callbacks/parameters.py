"""A table of the parameters of each part, printed before training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from components.interfaces import Backbone
from framework.tables import table


class ParameterTable(Callback):
    """Prints how many parameters each part of the module has, and how many of them are trained.

    Below the backbone are the layers of its blocks, without norms, with their sizes. A parameter
    that two parts share is counted in the first of them.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the table once the module is built."""
        if trainer.is_global_zero:
            print(table("Parameters", count_parameters(pl_module)), flush=True)


class Count(NamedTuple):
    """Numbers of parameters."""

    all: int = 0
    trained: int = 0

    def __add__(self, other: Count) -> Count:  # type: ignore[override]  # tuples concatenate
        return Count(self.all + other.all, self.trained + other.trained)

    def cells(self) -> list[str]:
        """Formats both numbers."""
        return [f"{self.all:,}", f"{self.trained:,}"]


def count_parameters(module: nn.Module) -> list[list[str]]:
    """Counts the parameters of the children of a module, as rows of a table, the header first."""
    rows, total, seen = [["part", "class", "parameters", "trained"]], Count(), set[int]()
    for name, part in module.named_children():
        count = _count(part.parameters(), seen)
        if count.all:
            rows.append([name, type(part).__name__, *count.cells()])
            rows += _rows_of_blocks(part.blocks) if isinstance(part, Backbone) else []
        total += count
    return [*rows, ["total", "", *total.cells()]]


def _rows_of_blocks(blocks: Iterable[nn.Module]) -> list[list[str]]:
    """Returns a row for each kind of layer in the blocks, with how often it occurs."""
    counts: dict[tuple[str, str], list[Count]] = {}
    seen = set[int]()
    for block in blocks:
        for name, part in _parts(block):
            if any(parameter.ndim > 1 for parameter in part.parameters()):
                count = _count(part.parameters(), seen)
                counts.setdefault((name, _with_sizes(part)), []).append(count)
    return [
        [f"  {len(each)} x {name}", layer, *sum(each, Count()).cells()]
        for (name, layer), each in counts.items()
    ]


def _parts(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the layers of a block by name, inner ones first; linear maps stay in their layer."""
    if not any(list(child.parameters()) for child in block.children()):
        yield "block", block
    for name, part in block.named_children():
        for inner, layer in part.named_children():
            if not isinstance(layer, nn.Linear):
                yield f"{name}.{inner}", layer
        yield name, part


def _count(parameters: Iterable[nn.Parameter], seen: set[int]) -> Count:
    """Counts the parameters that are not in `seen`, and adds them to it."""
    new = {id(parameter): parameter for parameter in parameters if id(parameter) not in seen}
    seen.update(new)
    trained = (parameter.numel() for parameter in new.values() if parameter.requires_grad)
    return Count(sum(parameter.numel() for parameter in new.values()), sum(trained))


def _with_sizes(part: nn.Module) -> str:
    sizes = part.extra_repr()
    return f"{type(part).__name__}({sizes})" if sizes else type(part).__name__
