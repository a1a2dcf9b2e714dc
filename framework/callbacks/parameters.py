"""A table of the parameters of each part, printed before training."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from framework.callbacks.table import table


class ParameterTable(Callback):
    """Prints how many parameters each part of the module has, and how many of them are trained.

    A parameter that two parts share counts for the first of them.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the table once the module is built."""
        if trainer.is_global_zero:
            print(table("Parameters", count_parameters(pl_module)), flush=True)


def count_parameters(module: nn.Module) -> list[list[str]]:
    """Counts the parameters of the direct parts of a module, as rows of a table with its head."""
    rows: list[tuple[str, str, int, int]] = []
    seen: set[int] = set()
    for name, part in module.named_children():
        own = {id(p): p for p in part.parameters() if id(p) not in seen}
        seen |= own.keys()
        if own:
            trained = sum(p.numel() for p in own.values() if p.requires_grad)
            rows.append((name, type(part).__name__, sum(p.numel() for p in own.values()), trained))
    rows.append(("total", "", sum(row[2] for row in rows), sum(row[3] for row in rows)))
    body = [[name, kind, f"{size:,}", f"{trained:,}"] for name, kind, size, trained in rows]
    return [["part", "class", "parameters", "trained"], *body]
