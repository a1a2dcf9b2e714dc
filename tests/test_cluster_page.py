"""The page on clusters: its commands are those that the scripts take, its tests exist."""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

import cli
from framework.console import recipes
from framework.interruptions import DIVERGED, DONE, FAILED, MISTAKE, PREEMPTED, STOPPED

ROOT = Path(cli.__file__).parent
PAGE = (ROOT / "docs" / "cluster.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SCRIPTS = [line for line in COMMANDS if "train." in line]
ENDINGS = (DONE, FAILED, MISTAKE, DIVERGED, PREEMPTED, STOPPED)
SHOWN = 'while [[ $1 != fit ]]; do shift; done; echo "overtone $*"'
JOB = 'while [[ $1 != *.sbatch ]]; do shift; done; SLURM_JOB_ID=7 SLURM_JOB_NODELIST=n1 bash "$@"'
PROGRAMS = {"srun": SHOWN, "torchrun": SHOWN, "scontrol": "echo n1", "sbatch": JOB}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Returns the words of the run that a command of the page starts."""
    folder = tmp_path_factory.mktemp("programs")
    for name, body in PROGRAMS.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)

    def words(command: str) -> list[str]:
        known = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        said = subprocess.check_output(["bash", "-c", command], cwd=ROOT, env=known, text=True)
        return shlex.split(said)[1:]

    return words


def parsed(words, capsys) -> dict:
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--print_config"])
    assert end.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(line, id=line, marks=[] if "NODES=" in line else [pytest.mark.slow])
        for line in SCRIPTS
    ],
)
def test_scripts_start_runs_that_can_be_parsed(command, shown, capsys, monkeypatch):
    words = shown(command)
    assert words[: words.index("--config")] == ["fit"]
    config = parsed(words, capsys)
    assert config["resume"] == "auto"
    folder = re.search(r"default_root_dir (\S+)", command)
    job = "runs/slurm-7" if "sbatch" in command else "runs"
    assert config["trainer"]["default_root_dir"] == (folder[1] if folder else job)


def test_every_kind_of_command_is_shown():
    assert {line.split()[0] for line in COMMANDS} >= {"sbatch", "kubectl", "overtone"}
    assert any("train.torchrun.sh" in line for line in COMMANDS)


def test_statuses_are_those_of_runs():
    shown = {int(found) for found in re.findall(r"^\| (\d+)[^|]* \|", PAGE, re.MULTILINE)}
    assert shown == {*ENDINGS, 128 + signal.SIGKILL}


def test_files_that_are_named_exist():
    paths = re.findall(r"(?:recipes/cluster|tests|\.ci)/[\w./]*\w", PAGE)
    assert {path.partition("/")[0] for path in paths} == {"recipes", "tests", ".ci"}
    for path in paths:
        assert (ROOT / path).exists(), path


def test_studies_that_are_shown_exist(capsys):
    shown = [shlex.split(line) for line in COMMANDS if line.startswith("overtone study")]
    with pytest.raises(SystemExit):
        cli.main(["study", "--help"])
    options = capsys.readouterr().out
    for _, _, name, option in shown:
        assert recipes.find(name, recipes.studies()).is_file()
        assert option.partition("=")[0] in options


def test_tests_that_are_named_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    for path, name in named:
        assert f"\ndef {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
