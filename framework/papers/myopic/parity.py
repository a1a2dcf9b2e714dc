"""Parity: checks that runs are trained alike, on what their words build, not on the words."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from framework.console import recipes
from framework.console.command import Command
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule

BATCHES = 3  # first batches that are compared

Terms = dict[str, Any]
"""Settings of a training by name; a tuple has one value per step, batch or group."""


class _Build(Command):
    """Builds what a command would run, without running it."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs nothing."""


def require_parity(words: Mapping[str, Sequence[str]], standard: str) -> None:
    """Checks that runs are trained like a standard one, whatever they train.

    Compared are: the optimizer and each option of its parameter groups, learning rates of all
    steps, the first training batches to the bit, terms of the objective, clipping, accumulation,
    precision, number of processes, seed of the initial parameters and shapes of trained ones. All
    of it is built in this process, and nothing is run.

    Args:
        words: Command lines of `fit` by the name of the run.
        standard: Name of the run that the others are compared with.

    Raises:
        ValueError: If a run differs; the message names the first difference.
    """
    expected = terms(words[standard])
    for name, line in words.items():
        if name != standard and (found := difference(expected, terms(line))):
            raise ValueError(
                f"The arms {standard!r} and {name!r} are not trained alike, so that their losses "
                f"cannot be compared: {found}; give both the same."
            )


def difference(expected: Terms, found: Terms) -> str:
    """Names the first difference between the terms of two runs; "" if there is none.

    Example:
        >>> difference({"learning rates": (0.1, 0.2)}, {"learning rates": (0.1, 0.3)})
        'learning rates (number 2) is 0.2 there and 0.3 here'
    """
    for name in [*expected, *(name for name in found if name not in expected)]:
        there, here = expected.get(name), found.get(name)
        if there == here:
            continue
        match there, here:
            case tuple(), tuple() if len(there) == len(here):
                pairs = enumerate(zip(there, here, strict=True), 1)
                number, there, here = next((k, *pair) for k, pair in pairs if len(set(pair)) > 1)
                name = f"{name} (number {number})"
            case tuple(), tuple():
                name, there, here = f"how often there is {name}", len(there), len(here)
        return f"{name} is {there} there and {here} here"
    return ""


def terms(words: Sequence[str]) -> Terms:
    """Builds what a `fit` would run, and returns its settings.

    Args:
        words: The command line, without `fit`.
    """
    seed = os.environ.get("PL_GLOBAL_SEED")
    built = _Build(recipes.with_paths(["fit", *words]), "parity", "overtone")
    if seed is None:
        os.environ.pop("PL_GLOBAL_SEED", None)
    else:
        os.environ["PL_GLOBAL_SEED"] = seed
    model: PredictiveModule = built.model
    trainer, data = built.trainer, built.datamodule
    trainer.strategy.connect(model)
    trainer._data_connector.attach_data(model, datamodule=data)  # as a fit begins
    model.configure_model()
    made: Any = model.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    steps = int(trainer.estimated_stepping_batches)
    return {
        "the seed": built.config.fit.seed_everything,
        "trainer.precision": trainer.precision,
        "the number of processes": trainer.world_size,
        "trainer.accumulate_grad_batches": trainer.accumulate_grad_batches,
        "trainer.gradient_clip_val": trainer.gradient_clip_val,
        "trainer.gradient_clip_algorithm": trainer.gradient_clip_algorithm,
        "the number of optimizer steps": steps,
        **_objective(model),
        **_options(optimizer),
        **_rates(optimizer, schedule, steps),
        **_served(data),
        "the shape of a trained parameter": tuple(
            f"{name} {list(p.shape)}" for name, p in model.named_parameters() if p.requires_grad
        ),
    }


def _objective(model: PredictiveModule) -> Terms:
    return {
        f"the loss term {name!r}": f"{type(loss).__name__} of weight {loss.weight}"
        for name, loss in model.losses.items()
    }


def _options(optimizer: Optimizer) -> Terms:
    """Returns the options of all parameter groups, and how many parameters each has."""
    found: Terms = {"the optimizer": type(optimizer).__name__}
    for number, group in enumerate(optimizer.param_groups, 1):
        place = f"of parameter group {number} of the optimizer"
        found |= {f"{name} {place}": x for name, x in group.items() if name != "params"}
        found[f"the size {place}"] = sum(p.numel() for p in group["params"])
    return found


def _rates(optimizer: Optimizer, schedule: LRScheduler, steps: int) -> Terms:
    """Runs the schedule over all steps; without gradients the optimizer changes nothing."""
    rates = []
    for _ in range(steps):
        rates.append(tuple(schedule.get_last_lr()))
        optimizer.step()
        schedule.step()
    return {
        f"the learning rate of parameter group {number} at a step": rate
        for number, rate in enumerate(zip(*rates, strict=True), 1)
    }


def _served(data: PredictiveData) -> Terms:
    """Reads the first training batches as a run would."""
    data.num_workers = 0  # batches do not depend on it, and workers would read far ahead
    batches = islice(iter(data.train_dataloader()), BATCHES)
    return {
        "data.batch_size": data.batch_size,
        "the contents of a training batch": tuple(map(_digest, batches)),
    }


def _digest(batch: Any) -> str:
    """Returns a short hash of the contents of a batch."""
    digest = hashlib.sha256()
    for field in batch:
        if isinstance(field, Tensor):
            digest.update(f"{field.dtype}{list(field.shape)}".encode())
            digest.update(field.contiguous().numpy().tobytes())
        else:
            digest.update(repr(field).encode())
    return digest.hexdigest()[:8]
