"""What the verbs `probe`, `edit` and `prune` need: a model, its read-out, and statistics of it."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jsonargparse import ArgumentParser
from lightning.fabric import Fabric

from framework.analysis.sample import Sample
from framework.checkpoints import digest
from framework.console.checkpoint_options import asking, check_data
from framework.data.module import PredictiveData
from framework.data.protocols import HasSource
from framework.modules.base import PredictiveModule
from framework.modules.loading import load_module
from framework.papers.token_encoding.readout import Readout, readout
from framework.papers.token_encoding.spread import Spread
from framework.papers.token_encoding.statistics import CONTEXTS, Statistics, gather

SPLITS = ("train", "val", "test")
SEQUENCES = 512  # that are read of a split, by default


class Evidence(NamedTuple):
    """A model and what is known of its read-out."""

    module: PredictiveModule
    readout: Readout  # on the CPU
    statistics: Statistics


def encoding_parser(prog: str, description: str) -> ArgumentParser:
    """Makes a parser with the options that `probe`, `edit` and `prune` share.

    Args:
        prog: The command with its verb.
        description: What it does.
    """
    parser = asking(prog, description)
    parser.set_defaults(sequences=SEQUENCES)
    parser.add_argument(
        "--split", choices=SPLITS, default="train", help="Whose contexts statistics are made of."
    )
    parser.add_argument(
        "--contexts", type=int, default=CONTEXTS, help="How many are kept, to compute edits on."
    )
    parser.add_argument(
        "--statistics",
        type=str | None,
        default=None,
        help="A file of statistics that `probe` wrote, not to gather them again.",
    )
    return parser


def evidence(path: str, given: Any, fabric: Fabric) -> Evidence:
    """Loads a checkpoint, and its statistics or gathers them.

    Args:
        path: The checkpoint.
        given: Parsed options of `encoding_parser`.
        fabric: Launched; all its processes call this.

    Raises:
        ValueError: If a file or the data cannot be used, or statistics are of another read-out.
    """
    module = load_module(path).to(fabric.device)
    check_data(path, module, given.data)
    if given.statistics is None:
        found = read_split(path, module, given.data, given.split, given, fabric)
    else:
        found = Statistics.load(Path(given.statistics))
    own = readout(module)
    found.require(own)
    return Evidence(module, own.cpu(), found)


def read_split(
    path: str,
    module: PredictiveModule,
    data: PredictiveData,
    split: str,
    given: Any,
    fabric: Fabric,
) -> Statistics:
    """Gathers statistics of some examples, evenly spread over a split.

    Args:
        path: The checkpoint, to be noted.
        module: Its model.
        data: What to read.
        split: Which part.
        given: Parsed options of `encoding_parser`.
        fabric: Launched; all its processes call this.
    """
    examples = Spread(data.dataset(split), given.sequences)
    sample = Sample(examples, None, given.batch_size, fabric.device)
    source = data.source if isinstance(data, HasSource) else None
    noted = {
        "checkpoint": str(path),
        "sha256": digest(Path(path)),
        "data": type(data).__name__ + (f" of {type(source).__name__}" if source else ""),
        "split": split,
        "sequences": f"{len(examples)} of {len(examples.examples)}",
        "versions": json.dumps(versions()),
    }
    return gather(module, sample, given.contexts, noted)


def versions() -> dict[str, str]:
    """Returns the versions of what computes, to be noted beside numbers."""
    try:
        own = version("overtone")
    except PackageNotFoundError:
        own = "of a checkout that is not installed"
    return {"overtone": own, "torch": str(torch.__version__)}
