"""Learning rates over the steps of a run, as factors of the rate that the optimizer was given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

from lightning.pytorch import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


class ScheduleFactory(Protocol):
    """Builds a schedule for an optimizer and the number of steps that it will take."""

    def __call__(self, *, optimizer: Optimizer, steps: int) -> LRScheduler:
        """Builds it."""


def steps_of_run(trainer: Trainer) -> int:
    """Returns the number of optimizer steps that a run takes in all.

    Args:
        trainer: The trainer, before training starts.

    Raises:
        ValueError: If the run has no end.
    """
    steps = trainer.estimated_stepping_batches
    # To count epochs, Lightning has made the loader: too early, at step 0 even if the run
    # resumes. Without it, it makes another one when training starts.
    trainer.fit_loop._combined_loader = None
    if not 0 <= steps < math.inf:
        raise ValueError(
            "The learning rate is scheduled over the steps of the run, which has no end; set "
            "trainer.max_steps, or trainer.max_epochs where the training data have an end."
        )
    return int(steps)


class Warmup(LambdaLR, ABC):
    """Raises the learning rate linearly; what comes after is up to the subclass.

    A checkpoint holds the step reached but not `steps`, so that a run resumed with more steps
    follows the longer schedule.

    Args:
        optimizer: The optimizer; its own learning rate is the peak.
        steps: Optimizer steps of the run.
        warmup: Steps until the peak is reached.
        floor: Factor at the end of the run, from 0 to 1.
        start: Factor at the first step, from 0 to 1; where the warm-up begins.

    Raises:
        ValueError: If a factor is not between 0 and 1 or `warmup` is negative.
    """

    def __init__(
        self, optimizer: Optimizer, steps: int, warmup: int, floor: float, start: float
    ) -> None:
        name = type(self).__name__
        if warmup < 0:
            raise ValueError(
                f"{name}: warmup={warmup} is negative; give a number of steps, 0 for none."
            )
        for option, value in (("floor", floor), ("start", start)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f"{name}: {option}={value} is a factor of the learning rate; "
                    "give a value between 0 and 1."
                )

        def factor(step: int) -> float:  # a closure, which no checkpoint holds
            if step < warmup:
                return start + (1 - start) * step / warmup
            return self.descend(min(1.0, (step - warmup) / max(1, steps - warmup)), floor)

        super().__init__(optimizer, factor)

    @staticmethod
    @abstractmethod
    def descend(progress: float, floor: float) -> float:
        """Returns the factor at a progress from 0, after the warm-up, to 1, the end of the run."""


class WarmupCosine(Warmup):
    r"""Raises the learning rate linearly, then lowers it along half a cosine to a floor.

    With warm-up :math:`w`, floor :math:`f` and :math:`n` steps, the factor after the warm-up is

    .. math:: f + (1 - f) \, \tfrac{1}{2} (1 + \cos(\pi \, (k - w) / (n - w)))

    Args:
        optimizer: The optimizer; its own learning rate is the peak.
        steps: Optimizer steps of the run.
        warmup: Steps until the peak is reached.
        floor: Factor at the end of the run, from 0 to 1.
        start: Factor at the first step, from 0 to 1; where the warm-up begins.

    Raises:
        ValueError: If a factor is not between 0 and 1 or `warmup` is negative.

    Source: Loshchilov and Hutter, "SGDR" (arXiv:1608.03983), equation 5, without restarts.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        warmup: int = 100,
        floor: float = 0.1,
        start: float = 0.01,
    ) -> None:
        super().__init__(optimizer, steps, warmup, floor, start)

    @staticmethod
    def descend(progress: float, floor: float) -> float:
        """Follows half a cosine."""
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


class WarmupLinear(Warmup):
    """Raises the learning rate linearly, then lowers it linearly to a floor.

    Args:
        optimizer: The optimizer; its own learning rate is the peak.
        steps: Optimizer steps of the run.
        warmup: Steps until the peak is reached.
        floor: Factor at the end of the run, from 0 to 1.
        start: Factor at the first step, from 0 to 1; where the warm-up begins.

    Raises:
        ValueError: If a factor is not between 0 and 1 or `warmup` is negative.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        warmup: int = 100,
        floor: float = 0.0,
        start: float = 0.01,
    ) -> None:
        super().__init__(optimizer, steps, warmup, floor, start)

    @staticmethod
    def descend(progress: float, floor: float) -> float:
        """Follows a line."""
        return 1 - (1 - floor) * progress


class Constant(Warmup):
    """Keeps the learning rate, after a linear warm-up if one is wanted.

    Args:
        optimizer: The optimizer; its own learning rate is the one to keep.
        steps: Optimizer steps of the run; the schedule does not depend on them.
        warmup: Steps until the rate is reached.
        start: Factor at the first step, from 0 to 1; where the warm-up begins.

    Raises:
        ValueError: If `start` is not between 0 and 1 or `warmup` is negative.
    """

    def __init__(
        self, optimizer: Optimizer, steps: int, warmup: int = 0, start: float = 0.01
    ) -> None:
        super().__init__(optimizer, steps, warmup, 1.0, start)

    @staticmethod
    def descend(progress: float, floor: float) -> float:
        """Stays at the peak."""
        return floor
