"""The complete recipe of a run, which stands beside its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from framework.checkpoints import NOTE
from framework.console import import_path
from framework.console.errors import UserError
from framework.environment import facts
from framework.run_files import Provenance, write_provenance

SAME_FOLDER = "${...default_root_dir}"  # seen from the options of a logger
SAME_IN_LIST = "${....default_root_dir}"  # and of one of several


class SaveRecipe(SaveConfigCallback):
    """Saves the complete recipe of a training run, and its provenance, beside its checkpoints.

    Args:
        command: The command line as it was given, the program first.
        options: Those of Lightning's `SaveConfigCallback`.
    """

    def __init__(self, *options: Any, command: Sequence[str] = ()) -> None:
        super().__init__(*options)
        self._command = list(command)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Saves nothing yet: the recipe may still prove wrong before training starts."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves it as `config.yaml`, or as `config-1.yaml` and so on if that file exists."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # on all ranks: it is broadcast
        leaves_something = bool(trainer.loggers or trainer.checkpoint_callback)
        if not (trainer.is_global_zero and leaves_something):
            return
        dirpath = Path(getattr(trainer.checkpoint_callback, "dirpath", None) or folder)
        if not dirpath.is_relative_to(folder):
            folder = dirpath
        folder.mkdir(parents=True, exist_ok=True)
        self.config_filename = _write_new(folder, _movable(self._text()))
        provenance = Provenance(self._command, dict(facts()))
        write_provenance(folder / self.config_filename, provenance)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Stores the name of the recipe, and where its modules are, in the checkpoint."""
        checkpoint[NOTE] = self.config_filename
        checkpoint[import_path.NOTE] = import_path.used()

    def recipe(self) -> Mapping[str, Any]:
        """Returns the complete recipe, which processes compare."""
        read: Mapping[str, Any] = yaml.safe_load(self._text())
        return read

    def _text(self) -> str:
        return str(self.parser.dump(self.config, skip_unset=False, skip_validation=True))


def _movable(recipe: str) -> str:
    """Lets loggers follow `trainer.default_root_dir` in a recipe that other runs start from."""
    read = yaml.safe_load(recipe)
    trainer = read["trainer"]
    several = isinstance(trainer["logger"], list)
    for logger in trainer["logger"] if several else [trainer["logger"]]:
        options = logger.get("init_args") or {} if isinstance(logger, dict) else {}
        if options.get("save_dir") == trainer["default_root_dir"]:
            options["save_dir"] = SAME_IN_LIST if several else SAME_FOLDER
    return str(yaml.safe_dump(read, sort_keys=False, allow_unicode=True))


def _write_new(folder: Path, text: str) -> str:
    names = ("config.yaml", *(f"config-{number}.yaml" for number in range(1, 10_000)))
    for name in names:
        try:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return name
    raise UserError(
        f"{folder} holds {len(names)} recipes already; clear it or choose another folder."
    )
