"""A callback that monitors what is not logged is one sentence, as early as can be known."""

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping

from framework.callbacks import Checkpoint
from tests.framework.modules import fakes

VALIDATED = {"limit_val_batches": 1, "val_check_interval": 2, "check_val_every_n_epoch": None}


class Steps(Callback):
    def __init__(self):
        self.taken = 0

    def on_train_batch_end(self, *_):
        self.taken += 1


def fit(*callbacks, **settings):
    """Trains; returns how many steps were taken and the error, if there was one."""
    steps = Steps()
    runner = fakes.trainer(callbacks=[*callbacks, steps], **{**VALIDATED, **settings})
    try:
        runner.fit(fakes.module(), fakes.data())
    except ValueError as error:
        return steps.taken, str(error)
    return steps.taken, ""


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_run_whose_time_is_over_does_not_end_as_if_it_were_done(tmp_path):
    checkpoint = Checkpoint(dirpath=str(tmp_path))
    settings = {"max_time": "00:00:00:00", "enable_checkpointing": True, "limit_val_batches": 0}
    runner = fakes.trainer(callbacks=[checkpoint], **{**settings, "max_time": None})
    runner.fit(fakes.module(), fakes.data())
    runner = fakes.trainer(callbacks=[checkpoint], **settings)
    with pytest.raises(ValueError, match=r"max_time is over: the 0 s .* drop it\."):
        runner.fit(fakes.module(), fakes.data(), ckpt_path=str(tmp_path / "last.ckpt"))


@pytest.mark.parametrize(
    ("monitor", "before", "taken"),
    [
        ("val_nll", 1, 0),
        ("val_nll", 0, 2),
        ("train_nll", 1, 0),
        ("val_loss", 1, 2),
        ("speed", 1, 2),
    ],
)
def test_names_the_metrics_that_there_are(monitor, before, taken):
    found, said = fit(EarlyStopping(monitor), num_sanity_val_steps=before)
    assert found == taken
    assert said.startswith(f"EarlyStopping monitors '{monitor}', which is not logged; ")
    likely = "did you mean {}? There" if "nll" in monitor else "there"
    assert likely.format(monitor.replace("_", "/")) in said
    assert "lr, train/error, train/loss, train/nll, val/nll, val/out_of_support." in said


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping("val/nll"),
        EarlyStopping("train/nll"),
        EarlyStopping("speed", strict=False),
    ],
)
def test_accepts_what_is_logged_or_need_not_be(callback):
    assert fit(callback) == (4, "")


def test_a_checkpoint_of_the_last_model_alone_compares_nothing(tmp_path):
    last = Checkpoint(save_top_k=0, monitor="speed", dirpath=str(tmp_path))
    assert fit(last, enable_checkpointing=True) == (4, "")


def test_without_validation_nothing_of_it_can_be_monitored(tmp_path):
    _, said = fit(EarlyStopping("val/nll"), limit_val_batches=0)
    assert "monitors 'val/nll', but the run validates nothing (trainer.limit_val_bat" in said
    last = Checkpoint(dirpath=str(tmp_path))
    assert fit(last, limit_val_batches=0, enable_checkpointing=True) == (4, "")
