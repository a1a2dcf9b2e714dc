"""Jobs of a real Slurm: they end, are queued again in every way, and lose nothing."""

from pathlib import Path

import pytest
import torch

from tests.cluster.runs import CLUSTER, RECIPES, RUN, make_slow, same, weights_of
from tests.cluster.slurm import Cluster
from tests.cluster.waiting import wait_until

SCRIPT = RECIPES / "cluster" / "train.sbatch"

pytestmark = CLUSTER


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def checkpoints(folder: Path, job: str) -> Path:
    return folder / "runs" / f"slurm-{job}" / "two_peaks" / "version_0" / "checkpoints"


def submit(cluster: Cluster, folder: Path) -> str:
    """Submits a run of some seconds, with a part of one's own."""
    make_slow(folder)
    return cluster.submit(folder, SCRIPT, *RUN)


def wait_for_checkpoint(folder: Path, job: str) -> None:
    place = checkpoints(folder, job)
    wait_until(lambda: any(place.glob("step=*.ckpt")), 120, "a checkpoint")


def output(folder: Path, job: str) -> str:
    return (folder / f"slurm-{job}.out").read_text()


def weights(folder: Path, job: str) -> dict[str, torch.Tensor]:
    return weights_of(checkpoints(folder, job))


@pytest.fixture(scope="module")
def whole(cluster, tmp_path_factory):
    """The weights of a job that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    job = submit(cluster, folder)
    cluster.wait(job)
    assert cluster.fact(job, "NodeList") == "n[1-2]"
    assert "Nothing to resume yet: starts." in output(folder, job)
    return weights(folder, job)


def requeue_by_signal(cluster: Cluster, job: str) -> None:
    cluster.call("scancel", "--signal=USR1", job)


def requeue_without_a_signal(cluster: Cluster, job: str) -> None:
    cluster.call("scontrol", "requeue", job)


def lose_a_node(cluster: Cluster, job: str) -> None:
    """Takes a node away: Slurm ends the job and queues it again, until the node is back."""
    cluster.call("scontrol", "update", "nodename=n2", "state=down", "reason=power")


@pytest.mark.parametrize(
    "interrupt",
    [requeue_by_signal, requeue_without_a_signal, lose_a_node],
    ids=lambda f: f.__name__,
)
def test_a_job_that_is_queued_again_loses_nothing(interrupt, cluster, whole, folder):
    job = submit(cluster, folder)
    wait_for_checkpoint(folder, job)
    interrupt(cluster, job)
    cluster.wait(job)
    assert cluster.fact(job, "Restarts") == "1"
    said = output(folder, job)
    assert said.index("Nothing to resume yet: starts.") < said.index("Resumes runs/slurm-")
    assert same(weights(folder, job), whole)
    assert [path.name for path in checkpoints(folder, job).parents[1].iterdir()] == ["version_0"]
