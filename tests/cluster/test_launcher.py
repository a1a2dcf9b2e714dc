"""Two ranks that the command line has started: one is killed, one is told to stop, and the end."""

import os
import signal
import subprocess
import sys

import torch
from lightning.pytorch import Callback

import cli
from framework.checkpoints import read
from tests.cluster.runs import CLUSTER, ROOT
from tests.ranks import run_ranks

pytestmark = CLUSTER


class Hit(Callback):
    """Sends a signal to one rank in the middle of a step."""

    def __init__(self, step: int, rank: int = 1, number: int = 9):
        self.step, self.rank, self.number = step, rank, number

    def on_train_batch_start(self, trainer, *_):
        if (trainer.global_step, trainer.global_rank) == (self.step, self.rank):
            os.kill(os.getpid(), self.number)


def words(root, **hit):
    trainer = {
        "default_root_dir": root,
        "devices": 2,
        "max_steps": 8,
        "limit_val_batches": 0,
        "enable_checkpointing": "true",
        "callbacks": "tests.cluster.test_launcher.Hit",
        **{f"callbacks.{name}": value for name, value in hit.items()},
    }
    recipes = ("two_peaks", "smoke", "strategy/ddp")
    options = (f"--trainer.{name}={value}" for name, value in trainer.items())
    return ["fit", *(f"--config={name}" for name in recipes), *options]


def run(*args):
    """Runs a command line, which starts the second rank itself; returns its status and errors."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_a_run_goes_on_after_the_death_of_a_rank_and_a_signal_to_a_rank(tmp_path):
    root, whole = tmp_path / "interrupted", tmp_path / "whole"
    folder = root / "checkpoints"
    status, said = run(*words(root, step=3))
    assert status == 1, said
    assert f"Rank 1 was killed by SIGKILL at step 3; go on from {folder}/step=3.ckpt with" in said
    assert "Traceback" not in said
    again = words(root, step=5, number=int(signal.SIGTERM))
    status, said = run(*again, "--resume", "auto")
    assert status == 75
    assert f"Stopped by SIGTERM at step 6; go on from {folder}/step=6.ckpt with" in said
    assert run(*words(root, step=-1), "--resume", "auto")[0] == 0
    run_ranks(cli.main, 2, words(whole, step=-1))
    first, second = (
        read(place / "checkpoints/last.ckpt")["state_dict"] for place in (root, whole)
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
