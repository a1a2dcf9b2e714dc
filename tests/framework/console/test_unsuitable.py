"""Callbacks that cannot work here are refused, with what to use instead."""

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
    Timer,
)

from framework.console.errors import UserError
from framework.console.unsuitable import check_callbacks


def trainer(callback, **options):
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    return Trainer(callbacks=[callback], **{**quiet, "max_steps": 5, **options})


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        (LearningRateFinder(), "try rates with --model.optimizer.lr"),
        (BackboneFinetuning(), "start from a model with --init_from"),
        (ModelPruning("l1_unstructured"), "prune a trained model"),
        (GradientAccumulationScheduler({0: 2}), "use trainer.accumulate_grad_batches"),
        (StochasticWeightAveraging(0.1, swa_epoch_start=1), "set trainer.max_epochs"),
        (Timer(interval="epoch"), "set trainer.max_epochs"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_says_what_to_use_instead(callback, said):
    with pytest.raises(UserError, match=f"^{type(callback).__name__} .*{said}"):
        check_callbacks(trainer(callback))


@pytest.mark.parametrize(
    ("callback", "options"),
    [
        (EarlyStopping("val/nll"), {}),
        (Timer(interval="step"), {}),
        (Timer(interval="epoch"), {"max_epochs": 2}),
        (StochasticWeightAveraging(0.1), {"max_epochs": 2}),
    ],
)
def test_accepts_the_others(callback, options):
    check_callbacks(trainer(callback, **options))
