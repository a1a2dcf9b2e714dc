"""Runs of Lightning's Trainer: LightningCLI with our defaults, errors and checks."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from omegaconf.errors import OmegaConfBaseException
from yaml.representer import RepresenterError

from components.data import Spec
from framework import loggers
from framework.callbacks import (
    Checkpoint,
    Interruption,
    MetricsReport,
    ParameterTable,
    Predictions,
    Progress,
    StepSeed,
)
from framework.console import (
    checkpoint_path,
    class_options,
    endings,
    equal_parameters,
    help,
    initial_weights,
    recipes,
    resume,
    resumption,
    unsuitable,
)
from framework.console.errors import UserError
from framework.console.explanations import refusals
from framework.console.help import CommandParser
from framework.console.outputs import require_writable
from framework.console.parsing import check_groups, explain, explain_interpolation
from framework.console.saved_recipe import SAME_FOLDER, SaveRecipe
from framework.console.verbs import DESCRIPTION
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule

SEED = 1  # of a run that sets none
INIT_FROM = (
    "Checkpoint, or directory of a published model, from which all parameters that fit are copied "
    "before training; the head may be another one. A table says what was loaded."
)
INIT_PARTS = (
    "Parts that --init_from copies, of stem, backbone and head, separated by commas; null: all."
)


class Command(LightningCLI):
    """Parses a command line, builds model, data and trainer, and runs the verb.

    Args:
        args: Arguments with the verb first; recipes are given by path.
        name: Name of the run, a folder in `runs/`.
        prog: Name of the command, for messages.
        given: Arguments as the user gave them, by default `args`.
    """

    def __init__(
        self, args: list[str], name: str, prog: str, given: Sequence[str] | None = None
    ) -> None:
        given = args if given is None else given
        self._command_to_resume = resumption.command(prog, given)
        equal_parameters.register()
        recipes.register_name(name)
        self._verbs = [word for word in args if word in LightningCLI.subcommands()][:1]
        _silence()
        super().__init__(
            PredictiveModule,
            PredictiveData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveRecipe,
            save_config_kwargs={"command": [prog, *given]},
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
            args=checkpoint_path.with_recipe(args),
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static there
        """Returns the verb that was given, or all: building the parser of one takes a second."""
        every = LightningCLI.subcommands()
        return {verb: every[verb] for verb in self._verbs or every}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of checkpoints, and passes the spec of the data to the model."""
        parser.add_lightning_class_args(Checkpoint, "checkpoint")
        if self._verbs == ["fit"]:
            parser.add_argument("--init_from", type=str | None, help=INIT_FROM)
            parser.add_argument("--init_parts", type=str | None, help=INIT_PARTS)
            parser.add_argument("--resume", type=str | None, help=resumption.HELP)
        parser.link_arguments(
            "data", "model.init_args.spec", compute_fn=self._spec, apply_on="instantiate"
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, or lists choices; errors are reported in one sentence."""
        named = self._subcommand_parsers[self._verbs[0]] if self._verbs else parser
        if text := help.listing(named, args):
            print(text)
            sys.exit()
        check_groups(("trainer", "checkpoint"), args)
        try:
            with class_options.corrected():
                self.config = parser.parse_args(args)
            self._words = args
        except ArgumentError as error:
            raise UserError(explain(error.message, named, args)) from error
        except OmegaConfBaseException as error:
            raise UserError(explain_interpolation(error, args)) from error
        except RepresenterError as error:  # of a default that is no plain data
            raise UserError(
                f"An option is {error.args[1]!r} by default, which a recipe cannot hold; set it "
                "to a text or a number."
            ) from error

    def _parse_ckpt_path(self) -> None:
        """Finds and checks a checkpoint; its hyper-parameters are not used, the recipe's are."""
        verb = self.config.subcommand
        config = self.config[verb]
        resumed = resumption.resolve(config)
        init_from = config.pop("init_from", None)  # the recipe that is saved says it with Weights
        init_parts = config.pop("init_parts", None)
        if init_parts is not None and not init_from:
            raise UserError(f"--init_parts {init_parts} is for --init_from; name a model there.")
        if resumed:
            config.ckpt_path, init_from = resumed, None
        if config.ckpt_path and init_from:
            raise UserError(
                "--ckpt_path goes on with a run, --init_from starts one from other weights; give "
                "one of them."
            )
        place = config.trainer.as_dict(), config.checkpoint.dirpath
        path = checkpoint_path.resolve(verb, config.ckpt_path, *place)
        config.ckpt_path, self._resumed = path or None, path if resumed else ""
        if path:
            initial_weights.start_from_checkpoint(config.model)
            if path not in checkpoint_path.KEYWORDS:
                resume.check(verb, path, config.model.init_args.as_dict())
                resume.check_folder(path, config.trainer.as_dict())
        elif init_from:
            initial_weights.start_from(config.model, init_from, init_parts)
        if not path:
            initial_weights.tell_of_frozen(config.model)

    def _spec(self, data: PredictiveData) -> Spec:
        """Returns the facts of the data, once these have what the checkpoint holds for them."""
        config = self.config[self.config.subcommand]
        checkpoint, binding = resume.origin(config.ckpt_path, config.model.init_args.as_dict())
        try:
            data.restore(checkpoint)
        except ValueError as error:
            if config.ckpt_path:
                raise
            if binding:
                raise UserError(
                    f"{str(error).rstrip('.')}, or copy what does not depend on it with "
                    "--init_from PATH --init_parts backbone."
                ) from error
        return data.spec

    def _dump_config(self) -> None:
        """Describes the model for its checkpoints; what was parsed is not checked once more."""
        if not hasattr(self, "config_dump"):
            options = {"skip_link_targets": False, "skip_unset": False, "skip_validation": True}
            read = yaml.safe_load(self.parser.dump(self.config, "yaml", **options))
            self.config_dump = read[self.config.subcommand]

    def instantiate_classes(self) -> None:
        """Builds data, model and trainer; an error names the line of the recipe."""
        with self._placed(), resumption.in_its_folder(self.config[self.subcommand], self._resumed):
            super().instantiate_classes()

    def _placed(self) -> AbstractContextManager[None]:
        fixed = {"trainer": Trainer, "checkpoint": Checkpoint}
        return refusals.placed(self.config[self.subcommand].as_dict(), fixed, self._words)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer, without the callbacks that its options disable."""
        config = self._get(self.config_init, "trainer")
        if config.model_registry and find_spec("litmodels") is None:  # Lightning would ignore it
            raise UserError(
                f"trainer.model_registry={config.model_registry} needs litmodels, which is not "
                "installed; run `pip install litmodels`, or drop it."
            )
        disabled = Progress if config.enable_progress_bar is False else ()
        if config.enable_checkpointing is False:
            self._parser(self.subcommand).callback_keys.remove("checkpoint")
        defaults = self.trainer_defaults["callbacks"]
        kept = [callback for callback in defaults if not isinstance(callback, disabled)]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": kept}
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except RuntimeError as error:
            found = re.search(r"more than one stateful callback of type `(\w+)`", str(error))
            if found is None:
                raise
            raise UserError(
                f"trainer.callbacks has {found[1]} more than once; the recipe names it already, "
                "drop yours, or give the whole list."
            ) from error
        unsuitable.check_callbacks(trainer)
        if self.subcommand == "fit":
            for folder in {trainer.default_root_dir, *(log.save_dir for log in trainer.loggers)}:
                require_writable(Path(folder or "."))
        else:
            trainer.loggers = [loggers.without_events(logger) for logger in trainer.loggers]
        for callback in endings.interruptions(trainer):
            callback.command = self._command_to_resume
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs the verb; what ended a run early decides the status of the process."""
        try:
            with self._placed():
                super()._run_subcommand(subcommand)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from end  # Lightning has ended it in order
            raise
        except Exception as error:
            endings.end(self.trainer, error)
            raise


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
            "class_path": "framework.loggers.QuietTensorBoardLogger",
            "init_args": {
                "save_dir": SAME_FOLDER,
                "name": name,
                "default_hp_metric": False,
            },
        },
        "max_epochs": -1,
        "use_distributed_sampler": False,
        "check_val_every_n_epoch": None,
        "enable_model_summary": False,
        "callbacks": [
            StepSeed(),
            Progress(),
            ParameterTable(),
            MetricsReport(),
            Predictions(),
            Interruption(),
        ],
    }
