"""Writes a checkpoint as one file of safetensors, with all that a verb reads in a checkpoint."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoints import load_parameters, read
from framework.console.outputs import written
from framework.packaged import VERSION, write_packaged

TRAINING = (  # what only a run that goes on reads, and where it was
    *("state_dict", "hyper_parameters", "hparams_name", VERSION),
    *("optimizer_states", "lr_schedulers", "loops", "callbacks", "position", "module_folders"),
)


def package(checkpoint: Path, output: Path) -> None:
    """Writes the model of a checkpoint, its tokenizer, and what else its data have stored there.

    The state of the run that saved it is left out.

    Args:
        checkpoint: A file, or a folder of shards.
        output: The file to write; it must not exist.

    Raises:
        UserError: If the file cannot be written.
        ValueError: If the checkpoint cannot be read, or the file exists.
    """
    held = read(checkpoint)
    notes = {name: value for name, value in held.items() if name not in TRAINING}
    state = load_parameters(checkpoint)
    with written(output):
        write_packaged(output, held.get("hyper_parameters", {}), state, notes)
