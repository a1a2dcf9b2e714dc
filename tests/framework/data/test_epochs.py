"""Options that count epochs are honoured, and runs that count them resume exactly."""

import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from framework.data.module import EndlessData
from framework.schedules import steps_of_run
from tests.framework.data.test_module import Line, NumberData, Numbers

LENGTH = 6  # batches of four that 26 examples fill


class Scheduled(Line):
    def configure_optimizers(self):
        self.steps = steps_of_run(self.trainer)
        return super().configure_optimizers()


class Watch(Callback):
    """Keeps the steps of validations; saves when a hook is called for the `at`-th time."""

    def __init__(self, hook=None, at=0, path=None):
        self.hook, self.at, self.path, self.validated = hook, at, path, []

    def _count(self, hook, trainer):
        if hook == self.hook:
            self.at -= 1
            if self.at == 0:
                trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer, *_):
        self._count("batch", trainer)

    def on_validation_end(self, trainer, *_):
        self.validated.append(trainer.global_step)
        self._count("validation", trainer)

    def on_train_epoch_end(self, trainer, *_):
        self._count("epoch", trainer)

    def on_train_end(self, trainer, *_):
        self._count("end", trainer)


def fit(watch=None, ckpt_path=None, data=None, **options):
    model, watch = Scheduled(), watch or Watch()
    quiet = {
        "default_root_dir": tempfile.gettempdir(),
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
    }
    runner = Trainer(callbacks=[watch], **{**quiet, **options})
    runner.fit(model, data or NumberData(batch_size=4, seed=5), ckpt_path=ckpt_path)
    return model, runner, watch.validated


@pytest.fixture(scope="module")
def order():
    """The batches of a run that counts no epochs."""
    return fit(max_epochs=-1, max_steps=30, limit_val_batches=0)[0].seen


BY_STEPS = {"check_val_every_n_epoch": None, "val_check_interval": 4}


@pytest.mark.parametrize(
    ("options", "batches", "validated"),
    [
        ({"max_epochs": 2}, 12, [6, 12]),
        ({"max_epochs": 2, "accumulate_grad_batches": 3}, 12, [2, 4]),
        ({"max_epochs": 1, "max_steps": 40}, 6, [6]),
        ({"max_epochs": 3, "max_steps": 8}, 8, [6]),
        ({"max_epochs": 3, "limit_train_batches": 4}, 12, [4, 8, 12]),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 6, [3, 6]),
        ({"max_epochs": 1, "limit_train_batches": 100}, 6, [6]),
        ({"max_epochs": 1, "val_check_interval": 0.5}, 6, [3, 6]),
        ({"max_epochs": 2, **BY_STEPS}, 12, [4, 8, 12]),
        ({"max_epochs": 4, "check_val_every_n_epoch": 2}, 24, [12, 24]),
        ({"max_epochs": 2, "reload_dataloaders_every_n_epochs": 1}, 12, [6, 12]),
        ({"max_epochs": -1, "max_steps": 13}, 13, [6, 12]),
        ({"max_epochs": -1, "max_steps": 13, "check_val_every_n_epoch": None}, 13, [6, 12]),
        ({"max_epochs": 2, "limit_val_batches": 0}, 12, []),
        ({"max_epochs": 1, "accumulate_grad_batches": 4}, 6, [2]),
        ({"fast_dev_run": 2}, 2, [2]),
    ],
    ids=str,
)
def test_epochs_are_passes_over_the_data(options, batches, validated, order):
    model, runner, found = fit(**options)
    assert model.seen == order[:batches]
    assert found == validated
    assert model.steps == runner.global_step == -(-batches // runner.accumulate_grad_batches)


@pytest.mark.parametrize(("batches", "number"), [(2, 2), (0.5, 3), (100, 6)])
def test_overfitting_repeats_the_same_batches(batches, number, order):
    model, *_ = fit(max_epochs=3, overfit_batches=batches)
    assert model.seen == order[:number] * 3


def test_a_run_stops_early_after_the_epochs_and_steps_that_it_must_take():
    class Stop(Watch):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = True

    for least, batches in (({}, 1), ({"min_epochs": 2}, 12), ({"min_steps": 7}, 7)):
        model, *_ = fit(Stop(), max_epochs=3, **least)
        assert len(model.seen) == batches
    model, *_ = fit(Stop(), max_steps=9, min_steps=3, limit_val_batches=0)
    assert len(model.seen) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 3},
        {"max_epochs": 3, "max_steps": 15},
        {"max_epochs": 3, "accumulate_grad_batches": 2},
        {"max_epochs": 3, "limit_train_batches": 4},
        {"max_epochs": 3, "overfit_batches": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("hook", "at"),
    [("batch", 3), ("batch", 6), ("batch", 9), ("validation", 1), ("epoch", 1), ("epoch", 2)],
)
def test_a_resumed_run_equals_one_that_was_not_interrupted(options, hook, at, tmp_path):
    path = tmp_path / "saved.ckpt"
    whole, runner, validated = fit(Watch(hook, at, path), **options)
    step = torch.load(path, weights_only=True)["global_step"]
    resumed, again, later = fit(ckpt_path=path, **options)
    assert resumed.seen == whole.seen[step * again.accumulate_grad_batches :]
    assert torch.equal(resumed.layer.weight, whole.layer.weight)
    assert (again.global_step, again.current_epoch) == (runner.global_step, runner.current_epoch)
    assert later == [k for k in validated if k > step]


ENDLESS = {"max_epochs": -1, "check_val_every_n_epoch": None, "val_check_interval": 4}


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"max_epochs": 1}, {"max_epochs": 3}),
        ({"max_epochs": 1}, {"max_epochs": 3, "max_steps": 13}),
        ({"max_epochs": -1, "max_steps": 8}, {"max_epochs": 3}),
        ({**ENDLESS, "max_steps": 8}, {"max_epochs": 3}),
        ({**ENDLESS, "max_steps": 12}, {"max_epochs": 3}),
        ({"max_epochs": 2}, {**ENDLESS, "max_steps": 15}),
        ({"max_epochs": 2, "limit_train_batches": 4}, {"max_epochs": 3}),
    ],
    ids=str,
)
def test_a_finished_run_is_extended(short, long, tmp_path):
    first, *_ = fit(Watch("end", 1, tmp_path / "end.ckpt"), **short)
    whole, runner, validated = fit(**long)
    rest, again, later = fit(ckpt_path=tmp_path / "end.ckpt", **long)
    assert first.seen + rest.seen == whole.seen
    assert torch.equal(rest.layer.weight, whole.layer.weight)
    assert again.global_step == runner.global_step
    assert later == [k for k in validated if k > len(first.seen)]


class Endless(EndlessData, NumberData):
    def dataset(self, split):
        return Numbers(2**40 if split == "train" else 11)


@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 1},
        {"max_steps": 3, "limit_train_batches": 0.5},
        {"max_steps": 3, "overfit_batches": 0.5},
        {"max_steps": 3, "min_epochs": 1},
        {"max_steps": 3, "check_val_every_n_epoch": 2, "limit_val_batches": 1},
        {"max_steps": 3, "check_val_every_n_epoch": None, "limit_val_batches": 1},
        {"max_steps": 3, "reload_dataloaders_every_n_epochs": 1},
    ],
    ids=str,
)
def test_data_without_end_have_no_epochs_unless_they_are_cut(options):
    settings = {"limit_val_batches": 0, **options}
    with pytest.raises(ValueError, match=r"^trainer\.\w+=.* counts passes .* have no end; use"):
        fit(data=Endless(batch_size=4), **settings)
    cut = {"limit_train_batches": 2}
    if not {"limit_train_batches", "overfit_batches"} & set(options):
        model, *_ = fit(data=Endless(batch_size=4), **{**settings, **cut})
        assert len(model.seen) == (2 if "max_epochs" in options else 3)


def test_an_epoch_must_be_whole_steps():
    with pytest.raises(ValueError, match=r"6 batches, .*set trainer.limit_train_batches to 4\.$"):
        fit(max_epochs=2, accumulate_grad_batches=4)
    with pytest.raises(ValueError, match=r"3 batches, .*=4; lower it\.$"):
        fit(max_epochs=2, accumulate_grad_batches=4, limit_train_batches=3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit_train_batches": 0.1}, r"limit_train_batches=0.1 of the 6 batches of an epoch is"),
        ({"overfit_batches": 0.1}, r"overfit_batches=0.1 of the 6 batches of an epoch is less"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches=0 makes no step; use at least"),
    ],
)
def test_an_epoch_without_a_step_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fit(max_steps=3, **options)


def test_one_is_one_batch_not_all_of_them(order):
    with pytest.raises(ValueError, match=r"An epoch has 1 batches, .*=2; lower it\.$"):
        fit(max_steps=3, accumulate_grad_batches=2, limit_train_batches=1, limit_val_batches=0)
    model, runner, _ = fit(max_steps=3, limit_train_batches=1, limit_val_batches=0)
    assert (model.seen, runner.current_epoch) == (order[:3], 3)


def test_nothing_is_warned_of_when_a_run_resumes_within_an_epoch(tmp_path):
    path = Path(tmp_path) / "saved.ckpt"
    fit(Watch("batch", 3, path), max_epochs=1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(ckpt_path=path, max_epochs=1)
    assert not [str(x.message) for x in said if "resumable" in str(x.message)]
