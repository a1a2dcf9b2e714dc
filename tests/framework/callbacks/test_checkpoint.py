"""The best model covers every validation, whenever the last one is written besides."""

import pytest
from lightning.pytorch import Callback

from framework.callbacks import Checkpoint
from framework.checkpoints import read
from tests.framework.modules.fakes import data, module, trainer


class Validations(Callback):
    """Keeps the score of every validation by its step, and makes it what is wanted."""

    def __init__(self, scores):
        self.scores, self.steps = iter(scores), []

    def on_validation_epoch_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            pl_module.log("val/score", next(self.scores))
            self.steps.append(trainer.global_step)


def run(folder, scores, every, **settings):
    """Trains, and returns the steps of the validations and those of the checkpoints."""
    watch = Validations(scores)
    checkpoint = Checkpoint(monitor="val/score", every_n_train_steps=every, dirpath=str(folder))
    often = {"max_steps": 6, "val_check_interval": 2, "check_val_every_n_epoch": None}
    options = {"limit_val_batches": 1, "enable_checkpointing": True, **often, **settings}
    runner = trainer(callbacks=[watch, checkpoint], **options)
    runner.fit(module(), data())
    return watch.steps, {path.stem: read(path) for path in folder.iterdir()}


@pytest.mark.parametrize("every", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("scores", [(1.0, 2.0, 3.0), (3.0, 1.0, 2.0), (3.0, 2.0, 1.0)])
def test_best_is_that_of_the_best_validation(every, scores, tmp_path):
    steps, found = run(tmp_path, scores, every)
    assert steps == [2, 4, 6]
    assert found["best"]["global_step"] == steps[scores.index(min(scores))]
    assert found["last"]["global_step"] == 6
    [record] = [x for x in found["last"]["callbacks"].values() if "best_model_score" in x]
    assert record["best_model_score"] == min(scores)


def test_the_same_at_the_ends_of_epochs(tmp_path):
    """The data of the fakes have no end, an epoch is cut to two batches."""
    epochs = {"max_steps": -1, "max_epochs": 3, "limit_train_batches": 2}
    usual = {"val_check_interval": None, "check_val_every_n_epoch": 1}
    steps, found = run(tmp_path, (3.0, 1.0, 2.0), 3, **epochs, **usual)
    assert steps == [2, 4, 6]
    assert {name: held["global_step"] for name, held in found.items()} == {"best": 4, "last": 6}
