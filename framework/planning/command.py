"""Command lines of training that do something else with a recipe than to train it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only

from framework.callbacks import StepSeed
from framework.callbacks.parameters import count_parameters
from framework.console import recipes, verbs
from framework.console.command import Command
from framework.console.errors import UserError
from framework.console.help import CommandParser
from framework.console.outputs import require_new
from framework.costs import ALL, states_of, step_costs
from framework.costs.peaks import TERA, published
from framework.costs.shapes import twin
from framework.data.epochs import batches_of_epoch, counted, require_accumulation
from framework.execution import PLAIN
from framework.planning.layout import Layout, layout_of
from framework.planning.measurement import Measurement
from framework.planning.plan import Plan, memory_of
from framework.tables import table

PEAK = "TFLOP/s of one device, or a name such as `A100`, whose published peak is taken."
NOTHING = (  # is left of a run that is measured
    "logger=false",
    "enable_checkpointing=false",
    "enable_progress_bar=false",
    "limit_val_batches=0",
    "num_sanity_val_steps=0",
)
COUNTED = (  # options that say how many steps there are
    *("max_steps", "max_epochs", "limit_train_batches", "overfit_batches", "fast_dev_run"),
    "accumulate_grad_batches",
)


class PlanCommand(Command):
    """Builds a recipe without storage, and prints what it would take.

    Args:
        words: What follows `plan` on the command line.
        program: Name of the command.
    """

    def __init__(self, words: Sequence[str], program: str) -> None:
        super().__init__(recipes.with_paths(["fit", *words]), "plan", program)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of the verb to those of training."""
        super().add_arguments_to_parser(parser)
        rate = "Positions per second of all processes, or a file that `bench --output` wrote."
        parser.add_argument("--throughput", type=float | str | None, help=rate)
        mfu = "Share of the peak that the run is taken to use, in place of a throughput."
        parser.add_argument("--mfu", type=float | None, help=mfu)
        parser.add_argument("--peak", type=float | str | None, help=PEAK)
        parser.add_argument(
            "--output", type=str | None, help="JSON file for the numbers, a new one."
        )
        _introduce(parser, "plan", ("throughput", "mfu", "peak", "output"))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Makes a trainer with the precision and the end of the recipe, and runs nothing."""
        _require_new(self.config[self.subcommand].output)
        warnings.filterwarnings("ignore", ".*AMP.* is not supported on CPU")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # which devices there are
        given = self._get(self.config_init, "trainer")
        return Trainer(
            accelerator="cpu",
            devices=1,
            precision=given.precision,
            **{name: given[name] for name in COUNTED},
            plugins=[LightningEnvironment()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _run_subcommand(self, subcommand: str) -> None:
        """Prints the plan, and writes it if that was asked for."""
        options = self.config[subcommand]
        module = twin(self.model, PLAIN, self.trainer.precision_plugin)
        plan = self._plan(module)
        for title, rows in {
            "Parameters": count_parameters(module),
            f"On {plan.layout.ranks} x {plan.layout.name}": plan.work(),
            "Bytes": plan.memory_rows(),
        }.items():
            print(table(title, rows), flush=True)
        _write(options.output, plan.as_dict())

    def _plan(self, module: Any) -> Plan:
        trainer = self._get(self.config_init, "trainer")
        layout = layout_of(trainer.strategy, trainer.num_nodes, trainer.devices)
        batch = self._batch(layout)
        precision = self.trainer.precision_plugin
        costs, states = step_costs(self.model, batch, precision), states_of(module)
        if layout.share == ALL:
            memory = memory_of(module, states, costs, layout)
        else:
            part = twin(self.model, PLAIN, precision, layout.share)
            mine = step_costs(self.model, batch, precision, layout.share)
            memory = memory_of(part, states_of(part), mine, layout)
        tensors = len(states.saved) + len(states.optimizer)
        return Plan(
            layout=layout,
            costs=costs,
            memory=memory,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            checkpoint=states.checkpoint,
            tensors=tensors,
            accumulate=trainer.accumulate_grad_batches,
            steps=self._steps(),
            rate=_rate(self.config[self.subcommand], costs.flops_per_position, layout.ranks),
            recomputing=_whole(self.model.execution.checkpoint),
        )

    def _batch(self, layout: Layout) -> Any:
        """Returns the first examples, as many as a process reads at a time."""
        whole, part = divmod(self.datamodule.batch_size, layout.readers)
        if part or not whole:
            raise UserError(
                f"batch_size={self.datamodule.batch_size} cannot be shared equally by "
                f"{layout.readers} processes; use a positive multiple of {layout.readers}."
            )
        dataset = self.datamodule.dataset("train")
        return dataset.__getitems__(list(range(min(whole, len(dataset)))))

    def _steps(self) -> int | None:
        """Returns the steps of the run, None if it has no end."""
        trainer = self.trainer
        require_accumulation(trainer)
        limits = [trainer.max_steps] if trainer.max_steps >= 0 else []
        if not counted(trainer).keys() & COUNTED:
            return min(limits, default=None)
        batches = batches_of_epoch(self.datamodule.batches_of_pass(), trainer)
        if trainer.max_epochs is not None and trainer.max_epochs >= 0:
            limits.append(trainer.max_epochs * -(-batches // trainer.accumulate_grad_batches))
        return min(limits, default=None) if batches else 0


class BenchCommand(Command):
    """Trains some steps of a recipe, prints how fast they were, and keeps nothing.

    Args:
        words: What follows `bench` on the command line.
        program: Name of the command.
    """

    def __init__(self, words: Sequence[str], program: str) -> None:
        with TemporaryDirectory() as folder:
            nothing = [f"--trainer.{option}" for option in NOTHING]
            root = f"--trainer.default_root_dir={folder}"
            super().__init__(recipes.with_paths(["fit", *words, *nothing, root]), "bench", program)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of the verb to those of training."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--warmup", type=int, default=5, help="Steps before those measured.")
        parser.add_argument("--steps", type=int, default=20, help="Steps that are measured.")
        parser.add_argument("--peak", type=float | str | None, help=PEAK)
        parser.add_argument(
            "--output", type=str | None, help="JSON file for the numbers, a new one."
        )
        _introduce(parser, "bench", ("warmup", "steps", "peak", "output"))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer of the recipe, with what measures in place of what reports."""
        options = self.config[self.subcommand]
        for name, least in {"warmup": 0, "steps": 1}.items():
            if options[name] < least:
                raise UserError(f"--{name} {options[name]} is too small; use {least} or more.")
        _require_new(options.output)
        peak = None if options.peak is None else peak_named(options.peak)
        self._measurement = Measurement(options.warmup, options.steps, peak)
        self.trainer_defaults = {
            **self.trainer_defaults,
            "callbacks": [StepSeed(), self._measurement],
        }
        trainer = super().instantiate_trainer(**kwargs)
        found = trainer.callbacks  # type: ignore[attr-defined]  # set from outside
        found[:] = [one for one in found if not _monitors_validation(one)]
        return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Trains, then prints and writes."""
        super()._run_subcommand(subcommand)
        if not self.trainer.is_global_zero:
            return
        speed = self._measurement.speed(self.trainer)
        title = f"{speed.steps} steps on {speed.processes} process"
        print(table(title + "es" * (speed.processes > 1), speed.rows()), flush=True)
        _write(self.config[subcommand].output, speed.as_dict())


def _introduce(parser: LightningArgumentParser, verb: str, own: Sequence[str]) -> None:
    if isinstance(parser, CommandParser):
        parser.introduce(verb, verbs.sentences()[verb], own)


def _whole(checkpoint: bool | str) -> bool | None:
    return checkpoint if isinstance(checkpoint, bool) else None


def _monitors_validation(callback: Callback) -> bool:
    return str(getattr(callback, "monitor", "")).startswith("val")


@rank_zero_only
def _require_new(path: str | None) -> None:
    if path:
        require_new(Path(path))


def _write(path: str | None, numbers: dict[str, Any]) -> None:
    if path:
        Path(path).write_text(json.dumps(numbers, indent=1), encoding="utf-8")
        print(f"\n{path}", flush=True)


def _rate(options: Namespace, flops: float, ranks: int) -> float | None:
    """Returns positions per second of all processes, as options say."""
    if options.throughput is not None and options.mfu is not None:
        raise UserError("--throughput and --mfu both say how fast it goes; give one of them.")
    if options.throughput is not None:
        return _throughput(options.throughput)
    if options.mfu is None:
        return None
    if not 0 < options.mfu <= 1:
        raise UserError(f"--mfu {options.mfu} is no share; give a number between 0 and 1.")
    if options.peak is None:
        raise UserError("--mfu is a share of a peak; add --peak, TFLOP/s or a name such as H100.")
    return float(options.mfu * peak_named(options.peak) * TERA * ranks / flops)


def _throughput(value: float | str) -> float:
    if isinstance(value, str):
        try:
            value = json.loads(Path(value).read_text(encoding="utf-8"))["positions_per_s"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"--throughput {value}: this is no number and no file of `bench --output`; give "
                "positions per second."
            ) from error
    if not float(value) > 0:
        raise UserError(f"--throughput {value} is not positive; give positions per second.")
    return float(value)


def peak_named(value: float | str) -> float:
    """Returns TFLOP/s that are given, or those of a GPU that is named.

    Raises:
        UserError: If there are none.
    """
    found = published(value) if isinstance(value, str) else value
    if found is None:
        raise UserError(f"--peak {value}: this GPU is not in the table; give TFLOP/s.")
    if not found > 0:
        raise UserError(f"--peak {value} is not positive; give TFLOP/s of one device.")
    return found
