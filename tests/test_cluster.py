"""Files for clusters: what they would run, their statuses, and what they say of a mistake."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

import cli

FOLDER = Path(cli.__file__).parent / "recipes" / "cluster"
SCRIPT, TORCHRUN = FOLDER / "train.sbatch", FOLDER / "train.torchrun.sh"
JOB = yaml.safe_load((FOLDER / "pytorchjob.yml").read_text())


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


@pytest.mark.parametrize("script", [SCRIPT, TORCHRUN], ids=lambda path: path.name)
def test_syntax(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_starts_the_recipe_on_all_nodes(job):
    done = start(job, "quickstart", "--config", "strategy/fsdp2", "--trainer.max_steps", "7 000")
    *command, place = done.stdout.splitlines()
    assert done.returncode == 0
    assert command == [
        "--kill-on-bad-exit=1", "overtone", "fit",
        "--config", "quickstart", "--config", "strategy/slurm",
        "--resume", "auto",
        "--config", "strategy/fsdp2", "--trainer.max_steps", "7 000",
        "--trainer.default_root_dir", "runs/slurm-123456",
    ]  # fmt: skip
    assert place == "@n7:23456 4"


def test_keeps_what_the_user_set(job):
    done = start(
        {**job, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1234", "OMP_NUM_THREADS": "2"}, "x"
    )
    assert done.stdout.splitlines()[-1] == "@10.0.0.1:1234 2"


@pytest.mark.parametrize("words", [("runs/mine",), ()])
def test_another_folder_is_that_of_the_user(words, job):
    option = "--trainer.default_root_dir"
    given = (option, *words) if words else (f"{option}=runs/mine",)
    done = start(job, "quickstart", "--config", "smoke", *given)
    *command, _ = done.stdout.splitlines()
    assert tuple(command[-len(given) :]) == given
    assert sum(word.startswith(option) for word in command) == 1


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


RUNNING = """
for word in "$@"; do echo "$word"; done
if [[ -e waits ]]; then trap 'exit 75' TERM; touch ready; sleep 9 & wait; fi
exit "$(cat status 2>/dev/null || echo 0)"
"""


# Starts a process, once, and as torchrun sends a signal to all that it has started.
LAUNCHING = """
while [[ $1 != --no-python ]]; do echo "torchrun $1"; shift; done
shift
setsid "$@" &
trap 'kill -TERM -- -$!' TERM
status=0
wait $! || status=$?
if [[ $status -gt 128 ]]; then status=0; wait $! || status=$?; fi
echo "torchrun sees $status"
exit $status
"""


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path):
    """A machine whose `overtone` shows its words, and does what files say."""
    program(tmp_path, "overtone", RUNNING)
    program(tmp_path, "torchrun", LAUNCHING)
    program(tmp_path, "nvidia-smi", "echo 'GPU 0'; echo 'GPU 1'")
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, tmp_path


def run(machine, command, **environment):
    known, folder = machine
    options = {"cwd": folder, "env": {**known, **environment}, "capture_output": True}
    return subprocess.run(command, text=True, check=False, **options)


def told_to_stop(machine, command) -> int:
    """Starts a command that runs for long, sends SIGTERM to it alone, and returns its status."""
    known, folder = machine
    (folder / "waits").touch()
    started = subprocess.Popen(command, cwd=folder, env=known, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (folder / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started.send_signal(signal.SIGTERM)
    return started.wait(20)


def test_torchrun_starts_a_process_for_each_gpu(machine):
    done = run(machine, [TORCHRUN, "quickstart", "--config", "strategy/fsdp2"])
    words = done.stdout.splitlines()
    launch = ["--nnodes", "1", "--nproc-per-node", "2", "--max-restarts", "3", "--standalone"]
    assert [word.removeprefix("torchrun ") for word in words[: len(launch)]] == launch
    assert words[len(launch) : -1] == [
        "fit", "--config", "quickstart", "--trainer.num_nodes", "1", "--trainer.devices", "2",
        "--resume", "auto", "--config", "strategy/fsdp2",
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["1", "0"])
def test_torchrun_meets_at_the_machine_that_has_the_address(host, machine):
    """Addresses of 127.0.0.0/8 are all of this machine, and seen from 127.0.0.1."""
    address = "127.0.0.1" if host == "1" else "127.0.0.9"
    several = {"NODES": "2", "RENDEZVOUS": f"{address}:29500", "PROCESSES": "4", "RESTARTS": "0"}
    done = run(machine, [TORCHRUN, "quickstart"], **several)
    words = [word.removeprefix("torchrun ") for word in done.stdout.splitlines()]
    assert words[: words.index("fit")] == [
        "--nnodes", "2", "--nproc-per-node", "4", "--max-restarts", "0",
        "--rdzv-backend", "c10d", "--rdzv-id", "overtone", "--rdzv-endpoint", f"{address}:29500",
        "--rdzv-conf", f"is_host={host}", "--local-addr", "127.0.0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        ((), {}, "name a recipe"),
        (("quickstart",), {"NODES": "2"}, "RENDEZVOUS= is not where 2 machines meet"),
        (("quickstart",), {"NODES": "2", "RENDEZVOUS": "n1"}, "RENDEZVOUS=n1 is not"),
    ],
)
def test_torchrun_says_what_is_missing(args, given, said, machine):
    done = run(machine, [TORCHRUN, *args], **given)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("status", [0, 1, 2, 75, 137])
def test_torchrun_ends_with_the_status_of_the_run(status, machine):
    """Though it does not see those that are not worth another try as failures."""
    (machine[1] / "status").write_text(str(status))
    seen = 0 if status in (2, 75) else status
    done = run(machine, [TORCHRUN, "quickstart"])
    assert done.returncode == status
    assert f"torchrun sees {seen}" in done.stdout


def test_torchrun_hands_signals_on(machine):
    assert told_to_stop(machine, [TORCHRUN, "quickstart"]) == 75


def pod(replica: str) -> list[str]:
    """Returns the command of a pod of the job for Kubernetes."""
    (container,) = JOB["spec"]["pytorchReplicaSpecs"][replica]["template"]["spec"]["containers"]
    return [*container["command"], *container["args"]]


@pytest.mark.parametrize("replica", ["Master", "Worker"])
@pytest.mark.parametrize(("status", "seen"), [(0, 0), (1, 143), (2, 2), (75, 143), (137, 137)])
def test_a_pod_ends_with_what_kubeflow_starts_again_or_not(status, seen, replica, machine):
    """It starts again what ends with 128 or more."""
    (machine[1] / "status").write_text(str(status))
    done = run(machine, pod(replica), RECIPE="quickstart", RUN="mine", WORLD_SIZE="8")
    assert done.returncode == seen
    assert done.stdout.splitlines() == [
        "fit", "--config", "quickstart", "--trainer.num_nodes", "8", "--trainer.devices", "1",
        "--trainer.default_root_dir", "runs/mine", "--resume", "auto",
    ]  # fmt: skip


def test_a_pod_hands_the_signal_on_that_ends_it(machine):
    assert told_to_stop(machine, pod("Master")) == 143


TEXT, NUMBER = str, int
POD = {
    "terminationGracePeriodSeconds": NUMBER,
    "containers": [
        {
            "name": TEXT, "image": TEXT, "workingDir": TEXT, "command": [TEXT], "args": [TEXT],
            "env": [{"name": TEXT, "value": TEXT}],
            "resources": {"limits": dict},
            "volumeMounts": [{"name": TEXT, "mountPath": TEXT}],
        }
    ],
    "volumes": [
        {
            "name": TEXT,
            "persistentVolumeClaim": {"claimName": TEXT},
            "emptyDir": {"medium": TEXT},
        }
    ],
}  # fmt: skip
REPLICA = {"replicas": NUMBER, "restartPolicy": TEXT, "template": {"spec": POD}}
SCHEMA = {  # fields of a PyTorchJob, as far as it has them
    "apiVersion": TEXT,
    "kind": TEXT,
    "metadata": {"name": TEXT},
    "spec": {
        "runPolicy": {"cleanPodPolicy": TEXT, "activeDeadlineSeconds": NUMBER},
        "pytorchReplicaSpecs": {"Master": REPLICA, "Worker": REPLICA},
    },
}


def check(value, schema, place="job") -> None:
    if isinstance(schema, dict):
        assert isinstance(value, dict), place
        assert value.keys() <= schema.keys(), place
        for name, inner in value.items():
            check(inner, schema[name], f"{place}.{name}")
    elif isinstance(schema, list):
        assert isinstance(value, list), place
        for inner in value:
            check(inner, schema[0], place)
    else:
        assert type(value) is schema, place


def test_the_job_has_the_fields_of_a_pytorchjob():
    check(JOB, SCHEMA)
    assert (JOB["apiVersion"], JOB["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    assert JOB["spec"]["runPolicy"]["cleanPodPolicy"] in ("All", "Running", "None")
    for replica in JOB["spec"]["pytorchReplicaSpecs"].values():
        assert replica["restartPolicy"] == "ExitCode"
        spec = replica["template"]["spec"]
        (container,) = spec["containers"]
        assert container["name"] == "pytorch"  # by which the operator knows it
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
    assert JOB["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] == 1
