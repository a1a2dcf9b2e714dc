"""The best model covers every validation, the last ones every step; what is kept is whole."""

import resource
import shutil
import tempfile
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from framework.callbacks import Checkpoint
from framework.checkpoints import is_usable, read
from tests.framework.modules.fakes import data, module, trainer
from tests.processes import killed_everywhere, run_forked, tick
from tests.ranks import run_ranks

FILLED = pytest.mark.filterwarnings("ignore:Checkpoint directory")
OTHER_FILE_SYSTEM = Path("/dev/shm")


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


@pytest.mark.parametrize(
    "every", [None, 3, *(pytest.param(every, marks=pytest.mark.slow) for every in (1, 2, 5))]
)
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
    expected = {"best": 4, "last": 6, "step=4": 4, "step=6": 6}
    assert {name: held["global_step"] for name, held in found.items()} == expected


def fit(folder, *callbacks, steps=5, ckpt_path=None, settings=(), **options):
    """Trains with a checkpoint after every step, and returns the trainer."""
    checkpoint = Checkpoint(**{"dirpath": str(folder), "every_n_train_steps": 1, **options})
    more = {"max_steps": steps, "enable_checkpointing": True, **dict(settings)}
    runner = trainer(callbacks=[*callbacks, checkpoint], **more)
    runner.fit(module(), data(), ckpt_path=ckpt_path)
    return runner


def steps_in(folder):
    return {path.stem: read(path)["global_step"] for path in folder.iterdir()}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("keep", [1, 3])
def test_the_last_ones_are_kept(keep, asynchronous, tmp_path):
    fit(tmp_path, keep=keep, asynchronous=asynchronous)
    expected = {f"step={step}": step for step in range(6 - keep, 6)}
    assert steps_in(tmp_path) == {"last": 5, **expected}


def test_a_resumed_run_keeps_as_many_and_another_run_leaves_them(tmp_path):
    fit(tmp_path, steps=3)
    with pytest.warns(UserWarning, match="is not empty"):
        fit(tmp_path, steps=4, ckpt_path=tmp_path / "last.ckpt")
    assert steps_in(tmp_path) == {"last": 4, "step=3": 3, "step=4": 4}
    with pytest.warns(UserWarning, match="is not empty"):
        fit(tmp_path, steps=2, keep=1)
    other = {"last-v1": 2, "step=2-v1": 2}
    assert steps_in(tmp_path) == {"last": 4, "step=3": 3, "step=4": 4, **other}


def scored(folder, scores, steps, ckpt_path=None):
    """Trains with a validation every second step, whose scores are given."""
    settings = {"val_check_interval": 2, "check_val_every_n_epoch": None, "limit_val_batches": 1}
    options = {"monitor": "val/score", "steps": steps, "settings": settings}
    fit(folder, Validations(scores), ckpt_path=ckpt_path, **options)
    return steps_in(folder)


@FILLED
def test_a_run_whose_folder_was_moved_knows_its_best_and_keeps_its_names(tmp_path):
    scored(tmp_path / "before", (1.0, 2.0), 4)
    moved = (tmp_path / "before").rename(tmp_path / "after")
    found = scored(moved, (3.0, 4.0), 8, ckpt_path=str(moved / "last.ckpt"))
    assert found == {"best": 2, "last": 8, "step=7": 7, "step=8": 8}


@FILLED
@pytest.mark.parametrize("lost", ["step=2", "best"])
def test_the_best_of_a_run_is_called_so_where_a_file_was_lost(lost, tmp_path):
    """It goes on before its first validation, whose model is on the disk already, or is not."""
    before = tmp_path / "step=1.ckpt"
    scored(tmp_path, (2.0,), 2)
    assert before.exists()
    (tmp_path / f"{lost}.ckpt").unlink()
    found = scored(tmp_path, (2.0, 1.0), 4, ckpt_path=str(before))
    assert found == {"best": 4, "last": 4, "step=3": 3, "step=4": 4}


@FILLED
def test_a_copied_checkpoint_has_no_best_model_elsewhere(tmp_path):
    scored(tmp_path / "before", (1.0, 2.0), 4)
    copied = tmp_path / "after" / "mine.ckpt"
    copied.parent.mkdir()
    shutil.copy(tmp_path / "before" / "last.ckpt", copied)
    found = scored(copied.parent, (3.0,), 6, ckpt_path=str(copied))
    assert found == {"best": 6, "last": 6, "mine": 4, "step=5": 5, "step=6": 6}


def test_every_few_minutes(tmp_path, monkeypatch):
    """A clock on which a step takes 20 seconds."""
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr("framework.callbacks.checkpoint.time.monotonic", lambda: next(now))
    fit(tmp_path, steps=9, every_n_train_steps=None, every_minutes=1.0, keep=9)
    # The clock is read once when training starts, once in a step, and once more after writing.
    assert set(steps_in(tmp_path).values()) == {3, 6, 9}


def test_accumulated_gradients_are_not_cut_by_a_checkpoint(tmp_path):
    """Several batches end at the same step; the file is of the first of them only."""
    fit(tmp_path, steps=2, settings={"accumulate_grad_batches": 3}.items(), keep=9)
    assert steps_in(tmp_path) == {"last": 2, "step=1": 1, "step=2": 2}
    progress = read(tmp_path / "step=1.ckpt")["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    assert progress["total"]["ready"] == 3


class Spoil(Callback):
    """Makes one parameter infinite after a step, on one of the ranks."""

    def __init__(self, step, rank=0):
        self.step, self.rank = step, rank

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            with torch.no_grad():
                next(pl_module.parameters()).view(-1)[0] = float("inf")


def test_weights_that_are_not_finite_are_not_kept(tmp_path, capsys):
    with pytest.raises(ValueError, match="the loss term 'nll' is nan at step 3"):
        fit(tmp_path, Spoil(3))
    assert steps_in(tmp_path) == {"last": 2, "step=1": 1, "step=2": 2}
    said = capsys.readouterr().err
    assert said.count("No checkpoint is written at step 3, where parameters are not finite") == 1
    assert "step=2.ckpt is kept" in said


@pytest.mark.slow
def test_ranks_agree_that_weights_are_not_finite(tmp_path):
    def rank():
        ranks = {"devices": 2, "strategy": "ddp"}
        fit(tmp_path, Spoil(3, rank=1), steps=3, settings=ranks.items())

    run_ranks(rank, 2)
    assert steps_in(tmp_path) == {"last": 2, "step=1": 1, "step=2": 2}


def write_until_full(folder, asynchronous, number):
    """Trains until files may only have half the size that they need."""

    class Fill(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == number and trainer.is_global_zero:
                trainer.strategy.checkpoint_io.wait()  # the one before is not the one that fails
                size = max(path.stat().st_size for path in folder.iterdir()) // 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    fit(folder, Fill(), asynchronous=asynchronous)


FULL = r"could not be written into .* \(File too large\); earlier .* --ckpt_path .*last.ckpt"


@pytest.mark.parametrize("number", [3, 5])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_full_disk_is_one_sentence_and_leaves_the_earlier_ones(number, asynchronous, tmp_path):
    def full():
        with pytest.raises(ValueError, match=FULL):
            write_until_full(tmp_path, asynchronous, number)

    assert run_forked(full) == 0
    last = number - 1
    assert steps_in(tmp_path) == {
        "last": last, f"step={last - 1}": last - 1, f"step={last}": last,
    }  # fmt: skip


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_on_all_ranks(tmp_path):
    def rank():
        ranks = {"devices": 2, "strategy": "ddp"}
        with pytest.raises(ValueError, match=FULL):
            fit_full(ranks)

    def fit_full(ranks):
        class Fill(Callback):
            def on_train_batch_end(self, trainer, *_):
                if trainer.global_step == 3 and trainer.is_global_zero:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

        fit(tmp_path, Fill(), settings=ranks.items())

    run_ranks(rank, 2)
    assert steps_in(tmp_path) == {"last": 2, "step=1": 1, "step=2": 2}


@pytest.mark.skipif(not OTHER_FILE_SYSTEM.is_dir(), reason="needs a second file system")
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_write_leaves_a_whole_last_one(
    asynchronous, tmp_path, monkeypatch
):
    """The temporary files of Python are on another file system than the run."""
    monkeypatch.setattr(tempfile, "tempdir", str(OTHER_FILE_SYSTEM))
    real = torch.save

    def save(held, file):
        write = file.write
        file.write = lambda content: (tick(), write(content))[1]  # may be killed before each piece
        real(held, file)

    monkeypatch.setattr("framework.checkpoint_files.torch.save", save)
    folder, deaths = tmp_path / "checkpoints", []
    folder.mkdir()
    train = partial(fit, folder, steps=2, asynchronous=asynchronous)
    for number in killed_everywhere(train, folder, stride=13):
        deaths.append(number)
        assert all(map(is_usable, folder.glob("*.ckpt")))
        shutil.rmtree(folder)
        folder.mkdir()
    assert len(deaths) > 3
    assert steps_in(folder) == {"last": 2, "step=1": 1, "step=2": 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keep": 0}, "keep=0 keeps no checkpoint"),
        ({"every_minutes": 0.0}, "every_minutes=0.0 is not positive"),
    ],
)
def test_refuses_what_keeps_nothing(options, said):
    with pytest.raises(ValueError, match=said):
        Checkpoint(**options)
