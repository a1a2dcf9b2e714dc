"""The run of a few seconds that tests of clusters start, interrupt and compare."""

import os
import sys
from pathlib import Path

import pytest
import torch

import cli
from framework.checkpoints import read

ROOT = Path(cli.__file__).parent
RECIPES = ROOT / "recipes"
SEARCHED = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
CLUSTER = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "OVERTONE_CLUSTER" not in os.environ, reason="run by .ci/cluster, which installs Slurm"
    ),
]
STEPS = 150
RUN = (
    *("two_peaks", f"--trainer.max_steps={STEPS}", "--trainer.val_check_interval=50"),
    *("--checkpoint.every_n_train_steps=10", "--trainer.accelerator=cpu"),
    "--trainer.callbacks+=slow.Slow",
)
SLOW = """
import time
from lightning.pytorch import Callback


class Slow(Callback):
    def on_train_batch_end(self, *_):
        time.sleep(0.03)
"""


def make_slow(folder: Path) -> None:
    """Puts the part of one's own into the working directory that makes the run last seconds."""
    (folder / "slow.py").write_text(SLOW)


def installed(folder: Path) -> dict[str, str]:
    """Returns the environment of a user with `overtone` on the path, which lies in a folder."""
    folder.mkdir()
    command = folder / "overtone"
    command.write_text(f"#!{sys.executable}\nfrom cli import main\n\nmain()\n")
    command.chmod(0o755)
    own = {"PATH": f"{folder}:{SEARCHED}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Returns the weights of a run that has taken all steps, from its folder of checkpoints."""
    checkpoint = read(folder / "last.ckpt")
    assert checkpoint["global_step"] == STEPS
    return checkpoint["state_dict"]


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Returns whether weights are the same, to the bit."""
    names = found.keys() == expected.keys()
    return names and all(torch.equal(found[name], expected[name]) for name in expected)
