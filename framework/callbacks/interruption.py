"""Saves a run that is told to stop or fails, and says how to go on with it."""

from __future__ import annotations

import signal
import sys
from contextlib import AbstractContextManager, suppress
from typing import Any

import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from framework.callbacks.checkpoint import Checkpoint
from framework.interruptions import FAILED, PREEMPTED, Preempted, failures
from framework.interruptions.agreement import Agreement
from framework.interruptions.children import Children
from framework.interruptions.roll_call import RollCall
from framework.interruptions.signals import Signals
from framework.replacing import replaced

STUCK = 60.0  # seconds between the death of a rank and the end of a process that is stuck
ENDING = 30.0  # seconds that other ranks of a machine have to end by themselves


class Interruption(Callback):
    """Ends a run in order when it is told to stop, and saves what a failed one has reached.

    SIGTERM, SIGINT (Ctrl-C) and SIGUSR1, sent to any rank, are acted on at the end of the current
    optimizer step or validation batch: all ranks agree, save, and end with status 75. A second
    Ctrl-C ends a process at once. In a Slurm job, SIGUSR1 also queues the job again.

    After an error the last whole step is saved, if parameters and optimizer still are as they were
    then; by the first rank alone, as the others may be gone. Shards of several ranks are saved
    where all ranks fail at the same step, each by an error of its own; a rank that waits for
    another one in a collective cannot take part. Ranks that do not answer are named.

    Needs `Checkpoint` among the callbacks to save anything.

    Args:
        every: Optimizer steps from one agreement of several ranks to the next, at least 1. With n
            a signal waits for up to n steps.
        patience: Seconds for which ranks that do not answer are waited for after an error, before
            they are named.

    Raises:
        ValueError: If `every` is not positive.
    """

    def __init__(self, every: int = 1, patience: float = 10.0) -> None:
        if every < 1:
            raise ValueError(f"Interruption: every={every} never looks; use 1 or more steps.")
        self.every, self.patience = every, patience
        self.command = ""  # that goes on with the run
        self.status: int | None = None  # of a run that did not end by itself, once it is explained
        self.has_trained = False  # at least a step
        self._signals = Signals()
        self._agreement: Agreement | None = None
        self._children: Children | None = None
        self._step = -1
        self._batches = 0  # of this validation that every rank has
        self._batch = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes the place of Lightning's own handling of signals, and the last place in a step."""
        if stage != "fit":
            if not _requeues(trainer):  # nothing to save: the signal ends the process
                _leave_signals(trainer)
            return
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        *_, last = (callback for callback in callbacks if isinstance(callback, Interruption))
        # After the checkpoints, so that they hold the state of all callbacks at the end of a step.
        others = [callback for callback in callbacks if not isinstance(callback, Interruption)]
        trainer.callbacks = [*others, last]  # type: ignore[attr-defined]
        if last is self:  # and not that of every run, beside one of the user
            self._children = Children(trainer.strategy.launcher, trainer.global_rank, STUCK)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to signals, before workers of data loaders are forked."""
        timeout = getattr(trainer.strategy, "_timeout", None)
        self._agreement = Agreement(timeout)
        if self._signals.listen():
            _leave_signals(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes where the run starts."""
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Ends the run at the end of a step, if any rank was told to.

        Raises:
            Preempted: On all ranks.
        """
        step = trainer.global_step
        if step == self._step:  # gradients are accumulated over several batches
            return
        self._step, self.has_trained = step, True
        if step % self.every == 0:
            self._stop_if_told(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds out how many batches of a validation all ranks have."""
        batches = sum(trainer.num_val_batches) if trainer.state.fn == "fit" else 0
        counted = int(batches) if batches < sys.maxsize else 0  # an endless stream has no number
        self._batch, self._batches = 0, self._agreed.lowest(counted) if counted else 0

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **more: Any) -> None:
        """Ends the run in the middle of a validation, which is done again when it is resumed.

        Raises:
            Preempted: On all ranks.
        """
        self._batch += 1
        if self._batch <= self._batches:
            self._stop_if_told(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Saves the last whole step and says why the run ended, unless it was told to stop."""
        is_stopped = isinstance(exception, Preempted)
        try:
            if trainer.state.fn == "fit" and isinstance(exception, Exception):
                self._explain(trainer, exception)
        finally:
            self._signals.restore()
            if self._children is not None:
                self._children.end(ENDING if is_stopped else ENDING / 6)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives signals back."""
        self._signals.restore()
        if self._children is not None:
            self._children.rest()

    @property
    def _agreed(self) -> Agreement:
        assert self._agreement is not None  # training has started
        return self._agreement

    def _stop_if_told(self, trainer: Trainer) -> None:
        number = self._agreed.highest(self._signals.received)
        if not number:
            return
        if trainer.training:
            _log_step(trainer)
        if number == signal.SIGUSR1 and _requeues(trainer):
            # Saves where Slurm's jobs look first, and queues the job again.
            trainer._signal_connector._slurm_sigusr_handler_fn(number, None)  # type: ignore[arg-type]
            how = "the job is queued again"
        else:
            _save(trainer)
            how = self._how_to_go_on(trainer)
        self._say(trainer, f"Stopped by {_name(number)}", how)
        self.status = PREEMPTED
        raise Preempted

    def _explain(self, trainer: Trainer, error: Exception) -> None:
        """Says what ended the run, once the last whole step is saved if that is possible."""
        reason, how = failures.of_worker(error), ""
        if self.has_trained:
            with suppress(OSError, ValueError, RuntimeError):  # which must not hide the error
                self._save_what_is_whole(trainer, error)
            how = self._how_to_go_on(trainer) if trainer.is_global_zero else ""
        if self._signals.received:  # it may have ended a worker, or another rank
            what = " ".join(str(error).split())
            reason = f"Stopped by {_name(self._signals.received)} ({what})"
            self.status = PREEMPTED
        elif trainer.world_size > 1 and dist.is_initialized():
            reason = self._blame(trainer, error, reason)
        if reason and self.status is None:
            self.status = FAILED
        if reason or how:
            self._say(trainer, reason or "The run failed", how)

    def _save_what_is_whole(self, trainer: Trainer, error: Exception) -> None:
        if not _holds_all(trainer):
            if self._all_can_save(trainer, error):
                _save(trainer)
        elif trainer.is_global_zero:
            with _alone(trainer.strategy):
                _save(trainer)

    def _all_can_save(self, trainer: Trainer, error: Exception) -> bool:
        """Whether all ranks have failed after the same step, and none waits for another one."""
        checkpoint, roll = trainer.checkpoint_callback, RollCall(self.patience, "failed")
        step = None
        if isinstance(checkpoint, Checkpoint) and not failures.is_collective(error):
            step = checkpoint.whole_step(trainer)
        roll.report(str(step))
        if step is None:
            return False
        answers = roll.answers(lambda _: False) or {}
        return len(answers) == trainer.world_size and set(answers.values()) == {str(step)}

    def _blame(self, trainer: Trainer, error: Exception, reason: str) -> str:
        """Reports to the other ranks why this one ends; returns which one made it end, or ""."""
        rank, roll = trainer.global_rank, RollCall(self.patience)
        if reason or not failures.is_collective(error):
            roll.report(reason or f"{type(error).__name__}: {' '.join(str(error).split())}")
            return reason and f"Rank {rank}: {reason}"
        self.status = FAILED
        roll.report("")
        fates = self._children.fates if self._children is not None else dict
        answers = roll.answers(lambda other: other in fates())
        if answers and min(answers) != rank:
            return ""  # that one says it
        return failures.of_ranks(error, rank, trainer.world_size, answers, fates(), self.patience)

    def _how_to_go_on(self, trainer: Trainer) -> str:
        checkpoint = trainer.checkpoint_callback
        if not isinstance(checkpoint, Checkpoint):
            return "nothing is saved without the callback Checkpoint, start again"
        if checkpoint.newest is None:
            return "nothing is saved yet, start again"
        path = str(checkpoint.newest)
        how = f"`{self.command}`" if self.command else f"trainer.fit(ckpt_path={path!r}, ...)"
        return f"go on from {path} with {how}"

    def _say(self, trainer: Trainer, what: str, how: str) -> None:
        if trainer.is_global_zero or self.status == FAILED:
            at = f" at step {trainer.global_step}" if self.has_trained else ""
            print("; ".join(filter(None, (f"{what}{at}", how))) + ".", file=sys.stderr, flush=True)


def _save(trainer: Trainer) -> None:
    """Saves the last whole step, if there is a place for it."""
    if isinstance(trainer.checkpoint_callback, Checkpoint):
        trainer.checkpoint_callback.write_whole_step(trainer)


def _leave_signals(trainer: Trainer) -> None:
    """Keeps Lightning from handling signals: its SIGTERM ends with status 0, and nothing saved."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    loop = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]  # in each step


def _log_step(trainer: Trainer) -> None:
    """Logs the metrics of the step, as Lightning does after the callbacks."""
    connector = trainer._logger_connector
    connector.on_batch_end()
    connector.update_train_step_metrics()


def _requeues(trainer: Trainer) -> bool:
    environment = trainer._accelerator_connector.cluster_environment
    return isinstance(environment, SLURMEnvironment) and environment.auto_requeue


def _holds_all(trainer: Trainer) -> bool:
    """Whether the first process can save the whole state without the others."""
    plain = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)
    return plain or trainer.world_size == 1


def _alone(strategy: Strategy) -> AbstractContextManager[None]:
    """Lets this process save without waiting for the others, which may be gone."""
    return replaced(
        (strategy, "barrier", lambda *args, **options: None),
        (strategy, "broadcast", lambda value, *args, **options: value),
        (strategy, "reduce_boolean_decision", lambda value, *args, **options: value),
    )


def _name(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
