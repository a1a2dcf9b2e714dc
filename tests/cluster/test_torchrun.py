"""torchrun on one machine and on two, of which one loses a process: nothing else is lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import cli
from tests.cluster.namespaces import two_machines
from tests.cluster.runs import CLUSTER, RECIPES, RUN, installed, make_slow, same, weights_of
from tests.cluster.waiting import wait_until
from tests.ranks import run_ranks

SCRIPT = RECIPES / "cluster" / "train.torchrun.sh"
CHECKPOINTS = Path("runs", "two_peaks", "version_0", "checkpoints")

pytestmark = CLUSTER


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of a run of two ranks that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")

    def train() -> None:
        os.chdir(folder)
        words = [word for word in RUN if "slow" not in word]
        cli.main(["fit", "--config", *words, "--trainer.devices=2"])

    run_ranks(train, 2)
    return weights_of(folder / CHECKPOINTS)


@contextmanager
def launched(folder: Path, prefixes: list[list[str]], **environment: str) -> Iterator[list]:
    """Starts the script on each machine."""
    make_slow(folder)
    known = {**installed(folder / "bin"), **environment}
    output = (folder / "output").open("a")
    command = ["bash", str(SCRIPT), *RUN]
    started = [
        subprocess.Popen([*prefix, *command], cwd=folder, env=known, stdout=output, stderr=output)
        for prefix in prefixes
    ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait(60)
        output.close()


def ranks(folder: Path) -> list[int]:
    """Lists the processes that train in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if words[2:3] == [b"fit"] and (path / "cwd").resolve() == folder.resolve():
                found.append(int(path.name))
        except OSError:
            continue
    return sorted(found)


def lose_one(folder: Path) -> None:
    """Kills the process that was started last, once there is a checkpoint."""
    wait_until(lambda: any((folder / CHECKPOINTS).glob("step=*.ckpt")), 300, "a checkpoint")
    os.kill(ranks(folder)[-1], signal.SIGKILL)


def ends_like(whole: dict, folder: Path) -> bool:
    said = (folder / "output").read_text()
    assert said.index("Nothing to resume yet: starts.") < said.index("Resumes runs/two_peaks")
    assert [path.name for path in (folder / "runs" / "two_peaks").iterdir()] == ["version_0"]
    return same(weights_of(folder / CHECKPOINTS), whole)


def test_a_process_that_is_killed_is_started_again_with_all_others(whole, tmp_path):
    with launched(tmp_path, [[]], PROCESSES="2") as (script,):
        lose_one(tmp_path)
        assert script.wait(400) == 0
    assert ends_like(whole, tmp_path)


def test_two_machines_go_on_when_one_loses_a_process(whole, tmp_path):
    with two_machines() as (prefixes, address, interface):
        meeting = {"NODES": "2", "PROCESSES": "1", "RENDEZVOUS": f"{address}:29511"}
        with launched(tmp_path, prefixes, GLOO_SOCKET_IFNAME=interface, **meeting) as scripts:
            lose_one(tmp_path)
            assert [script.wait(400) for script in scripts] == [0, 0]
    assert ends_like(whole, tmp_path)
