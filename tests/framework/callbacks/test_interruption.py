"""A run that is told to stop, or fails, keeps its last whole step, and resumes exactly."""

import os
import re
import signal
import threading
import time
from contextlib import redirect_stderr
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy

from framework.callbacks import Checkpoint, Interruption, StepSeed
from framework.checkpoints import load_parameters, read
from framework.interruptions import PREEMPTED, Preempted
from tests.framework.modules.fakes import FakeBackbone, data, fsdp2, module, trainer
from tests.processes import run_forked
from tests.ranks import run_ranks

STEPS = 6
VALIDATES = {"val_check_interval": 2, "check_val_every_n_epoch": None, "limit_val_batches": 2}


class At(Callback):
    """Calls a function in the middle of a step or of a validation, on one rank, once."""

    def __init__(self, step, action, rank=0, hook="on_train_batch_start"):
        self.step, self.action, self.rank = step, action, rank
        setattr(self, hook, self.act)

    def act(self, trainer, *_):
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            self.step = -1
            self.action()


class Validations(Callback):
    def __init__(self):
        self.steps = []

    def on_validation_end(self, trainer, *_):
        self.steps.append(trainer.global_step)


def send(number):
    return lambda: os.kill(os.getpid(), number)


def fail():
    raise KeyError("a bug")


def fit(folder, *callbacks, resume=False, served=None, **settings):
    """Trains the fake with dropout, or goes on with it."""
    checkpoint = Checkpoint(dirpath=str(folder), monitor="val/nll")
    always = [StepSeed(1), *callbacks, checkpoint, Interruption(patience=2.0)]
    usual = {"max_steps": STEPS, "enable_checkpointing": True, "num_sanity_val_steps": 0}
    runner = trainer(callbacks=always, **{**usual, **settings})
    torch.manual_seed(1)
    model = module(backbone=partial(FakeBackbone, dropout=0.3))
    runner.fit(model, served or data(), ckpt_path=folder / "last.ckpt" if resume else None)


def steps_in(folder):
    return {path.stem: read(path)["global_step"] for path in folder.iterdir()}


def same(first, second, name="last.ckpt"):
    states = [load_parameters(folder / name) for folder in (first, second)]
    return states[0].keys() == states[1].keys() and all(
        torch.equal(value, states[1][key]) for key, value in states[0].items()
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that is not interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoints"
    fit(folder)
    return folder


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory):
    """The same on two ranks."""
    folder = tmp_path_factory.mktemp("whole_of_two") / "checkpoints"
    finish(folder, resume=False)
    return folder


@pytest.fixture(autouse=True)
def _resumed_in_its_folder(recwarn):
    """Lightning warns that the folder is not empty, which is what is wanted."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_the_step_and_ends_with_a_status(number, whole, tmp_path, capsys):
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    logger = CSVLogger(tmp_path.with_name(f"log-{number}"))
    with pytest.raises(Preempted) as end:
        fit(tmp_path, At(2, send(number)), logger=logger)
    rows = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 3  # a line above those of the steps
    assert end.value.code == PREEMPTED == 75
    assert steps_in(tmp_path) == {"last": 3, "step=3": 3}
    name = {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    said = f"Stopped by {name} at step 3; go on from {tmp_path}/step=3.ckpt with trainer.fit("
    assert said in capsys.readouterr().err
    now = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    assert now == handlers
    fit(tmp_path, resume=True)
    assert same(tmp_path, whole)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("action", "hook"),
    [
        (send(signal.SIGTERM), "on_train_batch_start"),
        pytest.param(send(signal.SIGTERM), "on_validation_batch_start", marks=SLOW),
        pytest.param(fail, "on_train_batch_start", marks=SLOW),
        (fail, "on_validation_batch_start"),
    ],
)
def test_a_validation_that_was_due_is_done_after_resuming(action, hook, tmp_path):
    """The best model is then that of a run that was not interrupted."""
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    step = 4 if "validation" in hook or action is fail else 3
    watch = Validations()
    every = {**VALIDATES, "accumulate_grad_batches": 2, "val_check_interval": 4}
    with pytest.raises((Preempted, KeyError)):
        fit(interrupted, watch, At(step, action, hook=hook), **every)
    before = [2] if "validation" in hook or action is not fail else [2, 4]
    assert watch.steps == before
    assert steps_in(interrupted)["last"] == 4
    fit(interrupted, watch, resume=True, **every)
    assert watch.steps == [2, 4, 6]
    fit(whole, **every)
    assert same(interrupted, whole)
    assert same(interrupted, whole, "best.ckpt")


def test_an_error_saves_the_last_whole_step_also_between_micro_batches(tmp_path, capsys):
    class Failing(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 10:
                fail()

    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    with pytest.raises(KeyError):
        fit(interrupted, Failing(), accumulate_grad_batches=4)
    assert "The run failed at step 2; go on from" in capsys.readouterr().err
    fit(interrupted, resume=True, accumulate_grad_batches=4)
    fit(whole, accumulate_grad_batches=4)
    assert same(interrupted, whole)


def test_a_step_that_is_not_whole_is_not_saved(whole, tmp_path, capsys):
    """The parameters have changed, but not every callback has seen the end of the step."""
    with pytest.raises(KeyError):
        fit(tmp_path, At(3, fail, hook="on_train_batch_end"), **VALIDATES)
    assert steps_in(tmp_path) == {"best": 2, "last": 2, "step=2": 2}
    assert f"go on from {tmp_path}/step=2.ckpt" in capsys.readouterr().err
    fit(tmp_path, resume=True)
    assert same(tmp_path, whole)


def test_a_mistake_before_the_first_step_says_nothing_more(tmp_path, capsys):
    with pytest.raises(KeyError):
        fit(tmp_path, At(0, fail))
    assert capsys.readouterr().err == ""


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    def twice():
        fit(tmp_path, At(2, lambda: [send(signal.SIGINT)(), send(signal.SIGINT)()]))

    assert run_forked(twice) == -signal.SIGINT


def test_outside_of_the_main_thread_signals_are_left_alone(tmp_path):
    thread = threading.Thread(target=fit, args=(tmp_path,))
    thread.start()
    thread.join()
    assert steps_in(tmp_path) == {"last": STEPS, f"step={STEPS}": STEPS}


def test_a_worker_that_is_killed_is_one_sentence(whole, tmp_path, capsys):
    served = data()
    usual = served.train_dataloader

    def with_a_worker():
        loader = usual()
        loader.num_workers, loader.prefetch_factor = 1, 2
        loader.multiprocessing_context = "fork"
        return loader

    def kill():
        [child] = torch.multiprocessing.active_children()
        os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.3)

    served.train_dataloader = with_a_worker
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        fit(tmp_path, At(2, kill), served=served)
    said = capsys.readouterr().err
    assert re.search(r"A data loader worker \(process \d+\) was killed \(Killed\); where", said)
    fit(tmp_path, resume=True)
    assert same(tmp_path, whole)


def test_a_slurm_job_is_also_queued_again(tmp_path, monkeypatch, capfd):
    """Saved where Lightning looks for it in the next start of the job."""
    job = {
        "JOB_ID": "7",
        "JOB_NAME": "train",
        "NTASKS": "1",
        "NTASKS_PER_NODE": "1",
        "NNODES": "1",
    }
    for name, value in {**job, "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/sh\necho "scontrol $@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    place = {"default_root_dir": str(tmp_path), "plugins": [SLURMEnvironment()]}
    with pytest.raises(Preempted):
        fit(tmp_path / "run", At(2, send(signal.SIGUSR1)), **place)
    out, err = capfd.readouterr()
    assert out == "scontrol requeue 7\n"
    assert "Stopped by SIGUSR1 at step 3; the job is queued again." in err
    assert read(tmp_path / "hpc_ckpt_1.ckpt")["global_step"] == 3


# Several ranks


def on_ranks(
    folder, action, rank, strategy="ddp", dying=(), step=2, expected=Preempted, **settings
):
    """Interrupts a run of two ranks, and returns what the ranks said and their status."""

    def interrupt():
        made = strategy() if callable(strategy) else strategy
        start, said = time.monotonic(), StringIO()
        with pytest.raises(expected), redirect_stderr(said):
            fit(folder, At(step, action, rank), devices=2, strategy=made, **settings)
        return time.monotonic() - start, said.getvalue()

    return run_ranks(interrupt, 2, dying=dying)


def one_file():
    return fsdp2(save_distributed_checkpoint=False)


def finish(folder, strategy="ddp", resume=True):
    def rank():
        made = strategy() if callable(strategy) else strategy
        fit(folder, resume=resume, devices=2, strategy=made)

    run_ranks(rank, 2)


@pytest.mark.parametrize(
    ("number", "rank", "strategy"),
    [
        pytest.param(signal.SIGTERM, 0, "ddp", marks=SLOW),
        pytest.param(signal.SIGTERM, 1, "ddp", marks=SLOW),
        pytest.param(signal.SIGINT, 0, "ddp", marks=SLOW),
        pytest.param(signal.SIGTERM, 1, one_file, marks=SLOW),
    ],
)
def test_ranks_agree_to_stop(number, rank, strategy, whole_of_two, tmp_path):
    whole = whole_of_two
    if strategy is one_file:  # fused optimizers round as their parameters are divided
        whole = tmp_path.with_name("whole") / "checkpoints"
        finish(whole, strategy, resume=False)
    (_, first), (_, second) = on_ranks(tmp_path, send(number), rank, strategy)
    assert "at step 3; go on from" in first
    assert "Stopped" not in second
    assert steps_in(tmp_path) == {"last": 3, "step=3": 3}
    finish(tmp_path, strategy)
    assert same(tmp_path, whole)


@pytest.mark.slow
def test_a_rank_that_is_killed_is_named(whole_of_two, tmp_path):
    [(seconds, said), _] = on_ranks(
        tmp_path, send(signal.SIGKILL), 1, dying=[1], expected=RuntimeError
    )
    assert "Rank 1 does not answer within 2 s: killed, hung, or its machine is gone" in said
    assert f"at step 2; go on from {tmp_path}/step=2.ckpt" in said
    assert seconds < 15
    finish(tmp_path)
    assert same(tmp_path, whole_of_two)


@SLOW
def test_the_first_rank_that_is_killed_is_named(tmp_path):
    [_, (_, said)] = on_ranks(tmp_path, send(signal.SIGKILL), 0, dying=[0], expected=RuntimeError)
    assert "Rank 0, which hosts the store of the group, is gone" in said


@SLOW
def test_a_rank_that_hangs_is_named_after_the_timeout(tmp_path):
    def impatient():
        return DDPStrategy(timeout=timedelta(seconds=3))

    [(seconds, said), _] = on_ranks(
        tmp_path, lambda: time.sleep(60), 1, impatient, dying=[1], expected=RuntimeError
    )
    assert "Rank 1 does not answer within 2 s" in said
    assert "(after 3 s, trainer.strategy.timeout)" in said
    assert seconds < 20


def shards():
    return fsdp2(save_distributed_checkpoint=True)


class OnAll(At):
    """Calls a function on all ranks."""

    def act(self, trainer, *_):
        self.rank = trainer.global_rank
        super().act(trainer)


@pytest.mark.parametrize(
    ("strategy", "hook"),
    [
        pytest.param(shards, "on_before_zero_grad", marks=SLOW),
        pytest.param(shards, "on_train_batch_start", marks=SLOW),
        pytest.param(one_file, "on_before_zero_grad", marks=SLOW),
    ],
)
def test_an_error_of_all_ranks_saves_their_shards(strategy, hook, tmp_path):
    """In front of a step, and in the middle of one, where parameters are gathered."""
    whole, folder = tmp_path / "whole", tmp_path / "failed"
    finish(whole, strategy, resume=False)

    def interrupt():
        said = StringIO()
        with pytest.raises(KeyError), redirect_stderr(said):
            fit(folder, OnAll(3, fail, hook=hook), devices=2, strategy=strategy())
        return said.getvalue()

    first, second = run_ranks(interrupt, 2)
    assert f"at step 3; go on from {folder}/step=3.ckpt" in first
    assert "go on" not in second
    finish(folder, strategy)
    assert same(folder, whole)


@SLOW
def test_an_error_of_one_of_two_ranks_that_shard_is_named(tmp_path):
    """It cannot take part in saving: the other one waits for it in a collective."""
    [(seconds, first), (_, second)] = on_ranks(
        tmp_path, fail, 1, shards, step=3, expected=(RuntimeError, KeyError), **VALIDATES
    )
    assert "Rank 1 failed: KeyError: 'a bug' at step 3; go on from" in first
    assert f"{tmp_path}/step=2.ckpt" in first
    assert "Rank" not in second
    assert seconds < 15


def test_the_error_of_another_rank_is_told(tmp_path):
    [(_, first), (_, second)] = on_ranks(tmp_path, fail, 1, expected=(RuntimeError, KeyError))
    assert "Rank 1 failed: KeyError: 'a bug' at step 2; go on from" in first
    assert "Rank" not in second
