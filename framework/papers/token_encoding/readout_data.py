"""What the verbs `probe`, `edit` and `prune` start from: a read-out, and statistics of it."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.fabric import Fabric

from framework.analysis.sample import Sample, Spread
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.module import PredictiveData
from framework.data.protocols import HasSource
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.options import EncodingOptions
from framework.papers.token_encoding.readout import Readout, readout
from framework.papers.token_encoding.statistics import Statistics, gather


class ReadoutData(NamedTuple):
    """A model, its read-out, and statistics of what that reads."""

    module: PredictiveModule
    readout: Readout  # on the CPU
    statistics: Statistics


def load_readout_data(
    checkpoint: OpenedCheckpoint, options: EncodingOptions, fabric: Fabric
) -> ReadoutData:
    """Loads a model, and loads or gathers statistics of its read-out.

    Args:
        checkpoint: The checkpoint.
        options: Which data to read, or the file of statistics.
        fabric: Launched; all its processes call this.

    Raises:
        ValueError: If a file or the data cannot be used, or statistics are of another read-out.
    """
    checkpoint.require_data(options.data)
    module = checkpoint.module.to(fabric.device)
    if options.statistics is None:
        statistics = read_split(checkpoint, options.data, options.split, options, fabric)
    else:
        statistics = Statistics.load(Path(options.statistics))
    own = readout(module)
    statistics.require(own)
    return ReadoutData(module, own.cpu(), statistics)


def read_split(
    checkpoint: OpenedCheckpoint,
    data: PredictiveData,
    split: str,
    options: EncodingOptions,
    fabric: Fabric,
) -> Statistics:
    """Gathers statistics of some examples, evenly spread over a split.

    Args:
        checkpoint: The checkpoint, whose model is on the device of `fabric`.
        data: What to read.
        split: Which part.
        options: How much of it.
        fabric: Launched; all its processes call this.
    """
    examples = Spread(data.dataset(split), options.sequences)
    sample = Sample(examples, None, options.batch_size, fabric.device)
    source = data.source if isinstance(data, HasSource) else None
    provenance = {
        "checkpoint": str(checkpoint.path),
        "sha256": checkpoint.digest,
        "data": type(data).__name__ + (f" of {type(source).__name__}" if source else ""),
        "split": split,
        "sequences": f"{len(examples)} of {len(examples.examples)}",
        "versions": json.dumps(versions()),
    }
    return gather(checkpoint.module, sample, options.contexts, provenance)


def versions() -> dict[str, str]:
    """Returns the versions of the software, to be stored beside numbers."""
    try:
        own = version("overtone")
    except PackageNotFoundError:
        own = "of a checkout that is not installed"
    return {"overtone": own, "torch": str(torch.__version__)}
