"""Callbacks of Lightning that cannot work with our modules and loaders."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import (
    BaseFinetuning,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
    Timer,
)

from framework.console.errors import UserError

BUILT_LATER = "acts on parameters before the model is built, which happens when training starts"
UNSUITABLE = {
    LearningRateFinder: "sets an attribute `lr`, and the rate is an option of the optimizer here; "
    "try rates with --model.optimizer.lr, or compare them in a study",
    BaseFinetuning: f"{BUILT_LATER}; start from a model with --init_from, or see overlay "
    "models/pretrained_readout, which trains a read-out only",
    ModelPruning: f"{BUILT_LATER}; prune a trained model",
    GradientAccumulationScheduler: "changes how many batches make a step, from which the place of "
    "a run in its data follows; use trainer.accumulate_grad_batches",
}
EPOCHS = (StochasticWeightAveraging, Timer)  # which count epochs, the timer if it is told so


def check_callbacks(trainer: Any) -> None:
    """Checks that the callbacks of a trainer can do what they are for.

    Raises:
        UserError: If one cannot.
    """
    limited = trainer.max_steps != -1
    one_epoch = trainer.max_epochs == -1 or (trainer.max_epochs is None and limited)
    for callback in trainer.callbacks:
        name = type(callback).__name__
        for kind, reason in UNSUITABLE.items():
            if isinstance(callback, kind):
                raise UserError(f"{name} {reason}.")
        by_step = isinstance(callback, Timer) and callback._interval != "epoch"
        if isinstance(callback, EPOCHS) and not by_step and one_epoch:
            raise UserError(
                f"{name} counts epochs, and this run has but one; set trainer.max_epochs, the "
                "number of passes over the training data."
            )
