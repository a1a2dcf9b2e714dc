"""Runs of Lightning's Trainer: LightningCLI with our defaults, errors and checks."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from omegaconf.errors import OmegaConfBaseException

from framework.callbacks import (
    Checkpoint,
    MetricsReport,
    ParameterTable,
    Predictions,
    Progress,
    StepSeed,
)
from framework.checkpoints import NOTE, recipe_of
from framework.console import equal_parameters, help, import_path, refusals, resume
from framework.console.errors import UserError
from framework.console.help import CommandParser
from framework.console.parsing import explain, explain_interpolation
from framework.console.verbs import DESCRIPTION
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule

SEED = 1  # of a run that sets none


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run, after Lightning has ended it in order."""


class SaveRecipe(SaveConfigCallback):
    """Saves the complete recipe of a training run beside its checkpoints."""

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
        self.config_filename = _write_new(folder, self.parser.dump(self.config, skip_none=False))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Stores the name of the recipe, and where its modules are, in the checkpoint."""
        checkpoint[NOTE] = self.config_filename
        checkpoint[import_path.NOTE] = import_path.used()


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


class Command(LightningCLI):
    """Parses a command line, builds model, data and trainer, and runs the verb.

    Args:
        args: Arguments with the verb first; recipes are given by path.
        name: Name of the run, a folder in `runs/`.
        prog: Name of the command, for messages.
    """

    def __init__(self, args: list[str], name: str, prog: str) -> None:
        equal_parameters.register()
        self._verbs = [word for word in args if word in LightningCLI.subcommands()][:1]
        _silence()
        super().__init__(
            PredictiveModule,
            PredictiveData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveRecipe,
            seed_everything_default=SEED,
            auto_configure_optimizers=False,
            trainer_defaults=_trainer_defaults(name),
            parser_class=CommandParser,
            parser_kwargs={
                "prog": prog,
                "description": f"{DESCRIPTION}. `{prog} recipes` lists what can be run.",
                "parser_mode": "omegaconf+",
                "allow_abbrev": False,
                "exit_on_error": False,
            },
            args=_with_recipe_of_checkpoint(args),
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static there
        """Returns the verb that was given, or all: building the parser of one takes a second."""
        every = LightningCLI.subcommands()
        return {verb: every[verb] for verb in self._verbs or every}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of checkpoints, and passes the spec of the data to the model."""
        parser.add_lightning_class_args(Checkpoint, "checkpoint")
        parser.link_arguments("data.spec", "model.init_args.spec", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, or lists choices; errors are reported in one sentence."""
        named = self._subcommand_parsers[self._verbs[0]] if self._verbs else parser
        if text := help.listing(named, args):
            print(text)
            sys.exit()
        try:
            self.config = parser.parse_args(args)
            self._words = args
        except ArgumentError as error:
            raise UserError(explain(error.message, named, args)) from error
        except OmegaConfBaseException as error:
            raise UserError(explain_interpolation(error, args)) from error

    def _parse_ckpt_path(self) -> None:
        """Checks a checkpoint; its hyper-parameters are not used, those of the recipe are."""
        config = self.config[self.config.subcommand]
        path = config.get("ckpt_path")
        if path and path not in resume.KEYWORDS:
            resume.check_parts(path, config.model.init_args.as_dict())
            if self.config.subcommand == "fit":
                resume.check_training(path)

    def instantiate_classes(self) -> None:
        """Builds data, model and trainer; an error names the line of the recipe."""
        with self._placed():
            super().instantiate_classes()

    def _placed(self) -> AbstractContextManager[None]:
        fixed = {"trainer": Trainer, "checkpoint": Checkpoint}
        return refusals.placed(self.config[self.subcommand].as_dict(), fixed, self._words)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer, without the callbacks that its options disable."""
        config = self._get(self.config_init, "trainer")
        disabled = Progress if config.enable_progress_bar is False else ()
        if config.enable_checkpointing is False:
            self._parser(self.subcommand).callback_keys.remove("checkpoint")
        defaults = self.trainer_defaults["callbacks"]
        kept = [callback for callback in defaults if not isinstance(callback, disabled)]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": kept}
        try:
            return super().instantiate_trainer(**kwargs)
        except RuntimeError as error:
            found = re.search(r"more than one stateful callback of type `(\w+)`", str(error))
            if found is None:
                raise
            raise UserError(
                f"trainer.callbacks has {found[1]} more than once; the recipe names it already, "
                "drop yours, or give the whole list."
            ) from error

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs the verb; after Ctrl-C, which Lightning ends in order, says how to resume."""
        try:
            with self._placed():
                super()._run_subcommand(subcommand)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):
                raise Interrupted(self._how_to_resume()) from end
            raise

    def _how_to_resume(self) -> str:
        last = getattr(self.trainer.checkpoint_callback, "last_model_path", "")
        return f"; go on with --ckpt_path {last}" if last else ""


def _silence() -> None:
    """Hides advertisements of Lightning and, outside Slurm jobs, its warning about `srun`."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    if "SLURM_JOB_ID" not in os.environ:
        warnings.filterwarnings("ignore", "The `srun` command is available on your system")


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡")


def _trainer_defaults(name: str) -> dict[str, Any]:
    return {
        "default_root_dir": "runs",
        "logger": {
            "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
            "init_args": {
                "save_dir": "${...default_root_dir}",
                "name": name,
                "default_hp_metric": False,
            },
        },
        "max_epochs": -1,
        "use_distributed_sampler": False,
        "check_val_every_n_epoch": None,
        "enable_model_summary": False,
        "callbacks": [StepSeed(), Progress(), ParameterTable(), MetricsReport(), Predictions()],
    }


def _with_recipe_of_checkpoint(args: list[str]) -> list[str]:
    """Adds the recipe beside a checkpoint where only the checkpoint is given."""
    options = [word.partition("=")[0] for word in args]
    if (
        args[:1] == ["fit"]
        or {"-c", "--config", "--help", "-h"} & set(options)
        or "--ckpt_path" not in options
    ):
        return args
    position = options.index("--ckpt_path")
    path = args[position].partition("=")[2] or "".join(args[position + 1 : position + 2])
    if path in ("", *resume.KEYWORDS):
        return args
    recipe = recipe_of(path)
    print(f"Recipe of the checkpoint: {recipe}", file=sys.stderr)
    return [args[0], "--config", str(recipe), *args[1:]]
