"""Epochs: training batches in an order without end, divided where options count passes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.loop import _Loop
from torch.utils.data import Sampler

from framework.data.sampling import EndlessSampler, StepSampler

Order = StepSampler | EndlessSampler


class Epochs(Sampler[list[int]]):
    """Gives an order of batches a length; every iteration begins where the last one ended.

    Args:
        order: Training batches, which know the step to begin with.
        length: Batches of an epoch.
    """

    def __init__(self, order: Sampler[list[int]], length: int) -> None:
        self.order, self.length = order, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.order)


class Repeated(Sampler[list[int]]):
    """Serves the first batches of an order again and again, to overfit them.

    Args:
        order: Training batches.
        number: How many of them.
        start: Function that returns the step (micro-batch) to begin with.
    """

    def __init__(self, order: Order, number: int, start: Callable[[], int]) -> None:
        self.order, self.number, self.start = order, number, start

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(islice(self.order.batches(0), self.number))
        for step in count(self.start()):
            yield batches[step % self.number]


def divide(order: Order, trainer: Any) -> Sampler[list[int]]:
    """Divides an order of batches into epochs, if an option of the trainer counts them.

    Otherwise it stays one epoch without end, which costs nothing at its borders.

    Args:
        order: Training batches, without end.
        trainer: The trainer; `overfit_batches` repeats the first batches.

    Raises:
        ValueError: If the data have no end but an option counts passes over them, or the last
            optimizer step of an epoch would be smaller than the others.
    """
    if not counted(trainer):
        trainer.fit_loop.min_epochs = 0  # Lightning sets 1 beside min_steps: it would never stop
        return order
    length = order.length
    batches = batches_of_epoch(length, trainer)
    # Ours is: it begins at the step of the trainer.
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable")
    _resume(trainer, batches)
    source: Sampler[list[int]] = order
    if trainer.overfit_batches:
        source = Repeated(order, batches, order.start)
    return source if length is None else Epochs(source, length)


def batches_of_epoch(length: int | None, trainer: Any) -> int:
    """Returns how many batches an epoch has, where options of the trainer count epochs.

    Args:
        length: Batches of one pass over the training data, None without end.
        trainer: The trainer; `limit_train_batches` and `overfit_batches` make epochs shorter.

    Raises:
        ValueError: If the data have no end, an epoch would have no batch though it is to have a
            part of them, or its last optimizer step would be smaller than the others.
    """
    limit = trainer.limit_train_batches  # Lightning sets it to overfit_batches, too
    if isinstance(limit, int):
        batches = limit if length is None else min(limit, length)
    elif length is not None:
        batches = int(length * limit)
        if limit and not batches:
            name = "overfit_batches" if trainer.overfit_batches else "limit_train_batches"
            raise ValueError(
                f"trainer.{name}={limit:g} of the {length} batches of an epoch is less than one; "
                "use a larger share, or a whole number of batches."
            )
    else:
        name, value = next(iter(counted(trainer).items()))
        raise ValueError(
            f"trainer.{name}={value} counts passes over the training data, which have no end; use "
            "max_steps and val_check_interval, or say with limit_train_batches how many batches "
            "an epoch has."
        )
    _check_accumulation(batches, trainer)
    return batches


def counted(trainer: Any) -> dict[str, Any]:
    """Returns the options of a trainer that count epochs, by name."""
    validates = trainer.enable_validation and trainer._val_check_time_interval is None
    limit = trainer.limit_train_batches
    least = 0 if trainer.min_steps is None else 1  # Lightning's default
    used = {
        "max_epochs": trainer.max_epochs not in (None, -1),
        "min_epochs": (trainer.min_epochs or 0) > least,
        "limit_train_batches": limit != 1.0 or isinstance(limit, int),  # 1 is one batch
        "overfit_batches": trainer.overfit_batches > 0,
        "check_val_every_n_epoch": validates and trainer.check_val_every_n_epoch is not None,
        "val_check_interval": validates and isinstance(trainer.val_check_interval, float),
        "reload_dataloaders_every_n_epochs": trainer.reload_dataloaders_every_n_epochs > 0,
    }
    return {name: getattr(trainer, name) for name, is_used in used.items() if is_used}


def rewind(trainer: Trainer) -> None:
    """Resets a run that was saved between two optimizer steps to the first of them.

    The gradients accumulated until then are not in the checkpoint. Lightning would continue to
    count within the accumulation window and step too early; the order serves the whole window
    again, so Lightning's counters must be reset to match.
    """
    require_accumulation(trainer)
    progress = trainer.fit_loop.epoch_loop.batch_progress
    surplus = progress.current.ready % trainer.accumulate_grad_batches
    if surplus == 0 or not trainer.fit_loop.restarting:
        return
    for counts in (progress.total, progress.current):
        _set(counts, counts.ready - surplus)


def _resume(trainer: Any, length: int) -> None:
    """Sets the counters of a run that resumes to its place in the data, where they disagree.

    They do if the epoch that was saved was cut short or had another length, and Lightning counts
    a finished epoch twice if `max_steps` is set.
    """
    loop, place = trainer.fit_loop, trainer.global_step * trainer.accumulate_grad_batches
    if not (loop.is_resuming and length):
        return
    epochs, batches = loop.epoch_progress, loop.epoch_loop.batch_progress
    unfinished = epochs.current.ready != epochs.current.processed
    counted = epochs.current.processed * length + unfinished * batches.current.ready
    if counted == place and (unfinished or trainer.max_steps == -1):
        return
    epoch, within = divmod(place, length)
    begun = epoch + bool(within)
    for counts in (epochs.total, epochs.current):
        _set(counts, epoch)
        counts.ready = counts.started = begun
    _set(batches.total, place)
    _set(batches.current, within)
    batches.is_last_batch = False
    _Loop.restarting.fset(loop, bool(within))  # type: ignore[attr-defined]  # that of its base


def _set(counts: Any, number: int) -> None:
    counts.load_state_dict(dict.fromkeys(counts.state_dict(), number))


def require_accumulation(trainer: Trainer) -> None:
    """Checks that batches make optimizer steps.

    Raises:
        ValueError: If a step would take none.
    """
    if trainer.accumulate_grad_batches < 1:
        raise ValueError(
            f"trainer.accumulate_grad_batches={trainer.accumulate_grad_batches} makes no step; "
            "use at least 1."
        )


def _check_accumulation(batches: int, trainer: Trainer) -> None:
    """Checks that epochs are whole optimizer steps, from which the place in the data follows."""
    accumulated = trainer.accumulate_grad_batches
    rest = batches % accumulated
    if rest and trainer.max_epochs != 1:
        whole = batches - rest
        raise ValueError(
            f"An epoch has {batches} batches, which is no multiple of "
            f"trainer.accumulate_grad_batches={accumulated}; "
            + (f"set trainer.limit_train_batches to {whole}." if whole else "lower it.")
        )
