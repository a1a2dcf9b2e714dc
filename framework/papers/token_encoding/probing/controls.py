"""Controls: what else is probed, to know what the probe of a read-out is worth."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from framework.analysis.regression import regress
from framework.checkpoints import read
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module
from framework.papers.token_encoding.probing.probe import Target, probe
from framework.papers.token_encoding.probing.probe_report import ProbeReport
from framework.papers.token_encoding.readout import Readout, readout
from framework.papers.token_encoding.statistics import Statistics

SEEDS = (0, 1)  # with which a model is drawn, to see whether anything is
UNTRAINED, EMBEDDING = "untrained model", "input embedding"

Controls = Mapping[str, Mapping[Target, float]]
"""Adjusted R², by name of the control and target; without those that do not exist."""


class Start(NamedTuple):
    """A model before it learned anything."""

    readout: Readout
    statistics: Statistics


def untrained(path: str | Path) -> PredictiveModule | None:
    """Builds the model of a checkpoint with random weights, each part as it draws its own.

    Its weights are other ones than those that the run started from, of the same distribution
    unless the recipe sets them after that.

    Args:
        path: The checkpoint.

    Returns:
        The model, for evaluation, on the CPU; None if its read-out is not drawn: that of a
        pretrained model is read from a file.

    Raises:
        ValueError: If the checkpoint cannot be read, or does not say how its model was built.
    """
    owner = f"The checkpoint {str(path)!r}"
    empty: PredictiveModule = build_module(owner, read(path).get("hyper_parameters", {}))
    model, other = (_drawn(deepcopy(empty), seed) for seed in SEEDS)
    same = torch.equal(readout(model).weight, readout(other).weight)
    return None if same else model


def controls(found: ProbeReport, start: Start | None, table: Tensor | None) -> Controls:
    """Probes the untrained model and the input embedding for the same targets.

    Args:
        found: What was found in the read-out.
        start: The untrained model, if there is one.
        table: The input embedding, `[V, D]`, if there is one.
    """
    named: dict[str, dict[Target, float]] = {UNTRAINED: {}, EMBEDDING: {}}
    for target in found.requested:
        if start is not None:
            given = (target, found.counts, found.known, found.ridge)
            fit = probe(start.readout, start.statistics, *given).regression
            named[UNTRAINED][target] = fit.adjusted_r2
        if table is not None:
            kept, wanted = found.probes[target].kept, found.probes[target].target
            fit = regress(table[kept.to(table.device)], wanted[kept], found.ridge, folds=None)
            named[EMBEDDING][target] = fit.adjusted_r2
    return {name: shares for name, shares in named.items() if shares}


@torch.random.fork_rng(devices=())
def _drawn(module: PredictiveModule, seed: int) -> PredictiveModule:
    torch.manual_seed(seed)
    module.configure_model()
    return module.eval()
