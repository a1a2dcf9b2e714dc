"""A real Slurm of two nodes on this machine, in a folder of its own, for as long as a test."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cluster.runs import installed
from tests.cluster.waiting import wait_until

NODES = ("n1", "n2")
# A credential lives 5 s: a job that is queued again waits until the old one has expired.
CONFIGURATION = """\
ClusterName=overtone
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=600
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
"""


class Cluster(NamedTuple):
    """Two nodes that take jobs."""

    environment: dict[str, str]  # of commands: of Slurm, and of what is submitted

    def call(self, *command: str | Path, folder: Path | None = None) -> str:
        """Runs a command; returns what it printed."""
        done = subprocess.run(
            command, env=self.environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, folder: Path, *words: str | Path) -> str:
        """Submits a script with `sbatch`; returns the number of the job."""
        return self.call("sbatch", "--parsable", *words, folder=folder).strip()

    def fact(self, job: str, name: str) -> str:
        """Returns what `scontrol show job` says of a job, such as its `JobState`."""
        words = self.call("scontrol", "--oneliner", "show", "job", job).split()
        return next(word.partition("=")[2] for word in words if word.startswith(f"{name}="))

    def wait(self, job: str, state: str = "COMPLETED", seconds: float = 400.0) -> None:
        """Waits until a job is in a state."""
        wait_until(lambda: self.fact(job, "JobState") == state, seconds, f"job {job} is {state}")


@contextmanager
def started(folder: Path) -> Iterator[Cluster]:
    """Starts the daemons, waits for both nodes, and ends all at the end."""
    ports = _free_ports(1 + len(NODES))
    host = socket.gethostname()
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=host, ports=ports, folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    cluster = Cluster(_environment(folder, configuration))
    with ExitStack() as stack:
        _start(stack, cluster, folder, "munged", *_munge_options(folder))
        wait_until((folder / "munge.socket").exists, 20, "munged listens")
        _start(stack, cluster, folder, "slurmctld", "-D", "-c", "-f", str(configuration))
        for node in NODES:
            _start(stack, cluster, folder, "slurmd", "-D", "-f", str(configuration), "-N", node)
        wait_until(lambda: _idle(cluster) == list(NODES), 60, f"nodes are idle, see {folder}")
        yield cluster
        cluster.call("scancel", "--user=root", "--full")
        wait_until(lambda: not cluster.call("squeue", "--noheader"), 30, "the queue is empty")


def _munge_options(folder: Path) -> list[str]:
    names = ("socket", "key-file", "pid-file", "log-file", "seed-file")
    files = ("socket", "key", "pid", "log", "seed")
    places = [f"--{name}={folder}/munge.{file}" for name, file in zip(names, files, strict=True)]
    return ["--foreground", "--force", *places]


def _start(stack: ExitStack, cluster: Cluster, folder: Path, *command: str) -> None:
    log = stack.enter_context((folder / "daemons.log").open("a"))
    daemon = subprocess.Popen(command, env=cluster.environment, stdout=log, stderr=log)
    stack.callback(daemon.wait, 30)
    stack.callback(daemon.terminate)


def _idle(cluster: Cluster) -> list[str]:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"],
        env=cluster.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return sorted(done.stdout.split())


def _environment(folder: Path, configuration: Path) -> dict[str, str]:
    """The environment of a user who has activated the environment that runs the tests."""
    return {
        **installed(folder / "bin"),
        "SLURM_CONF": str(configuration),
        "MASTER_ADDR": "127.0.0.1",  # no name server knows n1
    }


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
