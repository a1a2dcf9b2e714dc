"""The Slurm script: what it would run, and what it says when it is started wrongly."""

import os
import subprocess
from pathlib import Path

import pytest

import cli

SCRIPT = Path(cli.__file__).parent / "recipes" / "cluster" / "train.sbatch"


@pytest.fixture
def job(tmp_path):
    """The environment of a job on two nodes, in which `srun` shows what it was to start."""
    words = 'for word in "$@"; do echo "$word"; done'
    srun = f'{words}; echo "@$MASTER_ADDR:$MASTER_PORT $OMP_NUM_THREADS"'
    for name, body in (("srun", srun), ("scontrol", "printf 'n7\\nn8\\n'")):
        program = tmp_path / name
        program.write_text(f"#!/usr/bin/env bash\n{body}\n")
        program.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NODELIST": "n[7-8]",
        "SLURM_CPUS_PER_TASK": "4",
    }


def start(env, *args):
    return subprocess.run(
        ["bash", SCRIPT, *args], env=env, capture_output=True, text=True, check=False
    )


def test_syntax():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_starts_the_recipe_on_all_nodes(job):
    done = start(job, "quickstart", "--config", "strategy/fsdp2", "--trainer.max_steps", "7 000")
    *command, place = done.stdout.splitlines()
    assert done.returncode == 0
    assert command == [
        "--kill-on-bad-exit=1", "overtone", "fit",
        "--config", "quickstart", "--config", "strategy/slurm",
        "--trainer.default_root_dir", "runs/slurm-123456",
        "--resume", "auto",
        "--config", "strategy/fsdp2", "--trainer.max_steps", "7 000",
    ]  # fmt: skip
    assert place == "@n7:23456 4"


def test_keeps_what_the_user_set(job):
    done = start(
        {**job, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1234", "OMP_NUM_THREADS": "2"}, "x"
    )
    assert done.stdout.splitlines()[-1] == "@10.0.0.1:1234 2"


def test_fails_with_the_run(job):
    Path(job["PATH"].partition(":")[0], "srun").write_text("#!/usr/bin/env bash\nexit 3\n")
    assert start(job, "quickstart").returncode == 3


@pytest.mark.parametrize(
    ("args", "missing", "said"),
    [((), None, "name a recipe"), (("quickstart",), "SLURM_JOB_ID", "start it with sbatch")],
)
def test_says_what_is_missing(args, missing, said, job):
    job.pop(missing, None)
    done = start(job, *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
