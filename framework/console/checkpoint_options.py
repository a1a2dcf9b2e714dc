"""Options of verbs that analyze a checkpoint: one frozen dataclass per verb, parsed by field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lightning.fabric import Fabric

from framework.console.devices import fabric_on
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.console.parsing import VerbParser
from framework.data.module import PredictiveData

HELP = frozenset({"-h", "--help"})


@dataclass(frozen=True)
class CheckpointOptions:
    """Options that all verbs share which analyze a checkpoint.

    Args:
        data: Data to read; those that the checkpoint was trained on if not given.
        sequences: How many examples to read; null: all.
        batch_size: Examples in a batch of one process.
        accelerator: Device, as of the trainer.
        devices: Processes to share the work.
        folder: Where to write files; null: beside the checkpoint.

    Raises:
        UserError: If a number is out of its range.
    """

    LEAST: ClassVar[Mapping[str, float]] = {"sequences": 1, "batch_size": 1, "devices": 1}

    data: PredictiveData
    sequences: int | None = None
    batch_size: int = 32
    accelerator: str = "auto"
    devices: int = 1
    folder: str | None = None

    def __post_init__(self) -> None:
        self.check_ranges(vars(self))

    @classmethod
    def check_ranges(cls, options: Mapping[str, Any]) -> None:
        """Checks numbers that have a lower bound.

        Raises:
            UserError: If one is smaller.
        """
        for name, least in cls.LEAST.items():
            value = options.get(name)
            if value is not None and not value >= least:
                raise UserError(f"--{name} {value} is too small; use at least {least}.")

    def launch(self) -> Fabric:
        """Starts the processes that share the work."""
        fabric = fabric_on(self.accelerator, self.devices)
        fabric.launch()
        return fabric

    def output_folder(self, checkpoint: OpenedCheckpoint, verb: str) -> Path:
        """Returns where a verb writes files about a checkpoint."""
        return Path(self.folder) if self.folder else checkpoint.folder(verb)


Options = TypeVar("Options", bound=CheckpointOptions)


def leading(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits words into those before the first option, and the rest.

    Example:
        >>> leading(["a.ckpt", "b.ckpt", "--split", "val"])
        (['a.ckpt', 'b.ckpt'], ['--split', 'val'])
    """
    count = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    return list(words[:count]), list(words[count:])


def parse_options(
    kind: type[Options],
    program: str,
    description: str,
    checkpoint: OpenedCheckpoint | None,
    words: Sequence[str],
) -> Options:
    """Parses options, with the data that a checkpoint was trained on unless others are given.

    Args:
        kind: The dataclass of options; its fields are the flags, its docstring is their help.
        program: The command with its verb.
        description: What it does, one sentence or two.
        checkpoint: The checkpoint; None if only help is requested.
        words: The words to parse.

    Raises:
        UserError: If an option is wrong, or no data are known.
    """
    parser = VerbParser(prog=program, description=description)
    parser.add_class_arguments(kind)
    config = parser.parse([*_data_words(checkpoint, words), *words])
    kind.check_ranges(vars(config))  # before data are read
    values = parser.instantiate_classes(config)
    if checkpoint is not None:
        values.data.restore(checkpoint.contents)
    return kind(**{field.name: getattr(values, field.name) for field in fields(kind)})


def _data_words(checkpoint: OpenedCheckpoint | None, words: Sequence[str]) -> list[str]:
    """Returns the data of the recipe of the checkpoint, unless others are named."""
    named = any(word == "--data" or word.startswith("--data=") for word in words)
    if checkpoint is None or named or HELP & set(words):
        return []
    return ["--data", json.dumps(checkpoint.data())]
