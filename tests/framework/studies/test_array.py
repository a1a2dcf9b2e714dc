"""A study as array jobs: what is submitted, what its tasks run, and what is left to do."""

import json
import os
import shlex
import signal

import pytest
import yaml

import cli
from framework.studies import runs
from framework.studies.array import SCRIPTS
from tests.framework.studies.test_grid import ARMS, FAKE, RATES, calls

SBATCH = """
echo "$@" >> "$(dirname "$0")/submitted"
if [[ " $* " == *" --refused "* ]]; then echo "sbatch: error: no such partition" >&2; exit 1; fi
wc -l < "$(dirname "$0")/submitted"
"""
SQUEUE = 'cat "$(dirname "$0")/queued"'


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with a study of two phases, and programs of a cluster that note what they get."""
    monkeypatch.setattr(runs, "LAUNCH", FAKE)
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (programs / name).chmod(0o755)
    (programs / "queued").touch()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    options = {"recipe": [], "variants": ARMS, "metrics": ["val/nll"], "seeds": [5, 6]}
    study = {"class_path": "Variants", "init_args": {**options, "learning_rates": RATES[1:]}}
    text = yaml.safe_dump({"study": study}, sort_keys=False)
    (tmp_path / "rates.yaml").write_text(f"# Compares two arms.\n{text}")
    return tmp_path


def submit(*more):
    cli.main(["study", "rates.yaml", "--folder", "here", *more])


def submitted(cluster):
    """Returns the words of each call of sbatch."""
    return [line.split() for line in (cluster / "bin" / "submitted").read_text().splitlines()]


def tasks(cluster, name):
    """Returns the command line of each task of a job, from its script."""
    script = (cluster / "here" / SCRIPTS / f"{name}.sbatch").read_text()
    (command,) = [line for line in script.splitlines() if line.startswith("exec srun")]
    words = shlex.split(command)
    words = words[words.index("study") :]
    if name == "report":
        return [words]
    (array,) = [line for line in script.splitlines() if line.startswith("#SBATCH --array=")]
    assert words[-1] == "$SLURM_ARRAY_TASK_ID"
    return [[*words[:-1], number] for number in array.partition("=")[2].split(",")]


@pytest.mark.parametrize("words", [["--slurm=-t 9 -A 'a b'"], ["--slurm", "-t 9 -A 'a b'"]])
def test_all_rates_are_one_array_and_the_other_seeds_one_after_it(words, cluster, capsys):
    submit(*words)
    options = ["-t", "9", "-A", "a", "b"]
    folder = f"here/{SCRIPTS}"
    assert submitted(cluster) == [
        ["--parsable", *options, f"{folder}/round-1.sbatch"],
        ["--parsable", "--dependency=afterany:1", *options, f"{folder}/round-2.sbatch"],
        ["--parsable", "--dependency=afterany:2", *options, f"{folder}/report.sbatch"],
    ]
    assert "6 runs to go, in here: submitted 1, 2, 3" in capsys.readouterr().out
    assert [len(tasks(cluster, name)) for name in ("round-1", "round-2", "report")] == [4, 2, 1]
    words = ["study", "rates.yaml", "--folder", "here"]
    assert tasks(cluster, "round-2")[0] == [*words, "--task", "4"]
    assert tasks(cluster, "report") == [[*words, "--report"]]
    assert not calls(cluster / "here")


@pytest.mark.slow
def test_its_tasks_run_what_the_study_runs_in_one_go(cluster, monkeypatch, capsys):
    submit("--slurm")
    for name in ("round-1", "round-2", "report"):
        for words in tasks(cluster, name):
            cli.main(words)
    by_array = {path.name: path.read_text() for path in (cluster / "here").glob("[rt]*.*")}
    assert set(calls(cluster / "here").values()) == {1}
    cli.main(["study", "rates.yaml", "--folder", "there", "--jobs", "1"])
    at_once = {path.name: path.read_text() for path in (cluster / "there").glob("[rt]*.*")}
    assert by_array == at_once
    assert set(by_array) == {"results.csv", "table.md"}
    assert calls(cluster / "here") == calls(cluster / "there")
    submit("--slurm")  # nothing is left: the tables
    assert len(submitted(cluster)) == 3
    assert "6 of 6 runs are finished" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_left_is_submitted_again(cluster, capsys):
    submit("--slurm")
    *most, last = tasks(cluster, "round-1")
    for words in most:
        cli.main(words)
    with pytest.raises(SystemExit, match="2"):
        cli.main(tasks(cluster, "round-2")[1])
    assert "fan with seed 6, waits for runs that are not finished" in capsys.readouterr().err
    submit("--slurm")
    assert tasks(cluster, "round-1") == [last]
    assert len(tasks(cluster, "round-2")) == 2
    cli.main(most[0])
    assert "is finished in here" in capsys.readouterr().out
    assert set(calls(cluster / "here").values()) == {1}


def test_a_task_that_fails_says_so(cluster, capsys):
    study = yaml.safe_load((cluster / "rates.yaml").read_text())
    study["study"]["init_args"]["recipe"] = ["--fail-0.003"]
    (cluster / "rates.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.raises(SystemExit, match="2"):
        submit("--task", "0")
    assert "plain, seed 5 failed; see here" in capsys.readouterr().err


def test_jobs_are_submitted_once(cluster):
    submit("--slurm")
    (cluster / "bin" / "queued").write_text("7\n2\n")
    with pytest.raises(SystemExit, match="2"):
        submit("--slurm")
    assert len(submitted(cluster)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slurm", "--report"], "--slurm and --report exclude each other"),
        (["--slurm=--refused"], "sbatch refuses here/slurm/round-1.sbatch: no such partition"),
        (["--slurm='"], "No closing quotation; quote it as for a shell"),
        (["--task", "6"], "--task 6 is none of the runs 0 to 5"),
    ],
)
def test_mistakes_are_one_sentence(words, said, cluster, capsys):
    with pytest.raises(SystemExit, match="2"):
        submit(*words)
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_without_slurm_it_is_not_submitted(cluster, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SystemExit, match="2"):
        submit("--slurm")


def test_a_study_that_runs_as_a_whole_is_not_divided(cluster, capsys):
    (cluster / "whole.yaml").write_text(
        "study: {class_path: tests.framework.console.test_study.Echo, init_args: {number: 1}}"
    )
    for option in (["--slurm"], ["--task", "0"], ["--report"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["study", "whole.yaml", *option])
        assert "Echo runs as a whole; drop" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_and_one_with_other_words_starts(cluster):
    """What lies in its folder is that of the same words, or in a folder of its own."""
    place = cluster / "here" / "plain" / "lr-0.003" / "seed-5"
    submit("--task", "0")
    (place / "finished.json").unlink()  # as if it had been killed before
    (place / "name" / "step=3.ckpt").touch()
    submit("--task", "0")
    assert (place / "name" / "step=3.ckpt").exists()
    assert json.loads((place / "started.json").read_text())[-1] == "0.003"
    study = yaml.safe_load((cluster / "rates.yaml").read_text())
    study["study"]["init_args"]["recipe"] = ["--other"]
    (cluster / "rates.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    submit("--task", "0")
    assert not (place / "name" / "step=3.ckpt").exists()
    assert (place / "earlier-1" / "name" / "step=3.ckpt").exists()
    assert json.loads((place / "finished.json").read_text())["logs"] == "name"
    assert len((place / "earlier-1" / "calls").read_text()) == 2


def test_a_run_that_was_told_to_stop_ends_the_study_with_its_status(cluster, monkeypatch, capsys):
    """The signal comes to the task as well, as Slurm sends it, and lets it wait."""
    stopping = "import os, sys; os.kill(os.getppid(), {}); sys.exit(75)"
    before = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        monkeypatch.setattr(runs, "LAUNCH", stopping.format(int(number)))
        with pytest.raises(SystemExit, match="75"):
            submit("--task", "0")
    assert signal.getsignal(signal.SIGTERM) == before
    assert "told to stop; the same command goes on with it" in capsys.readouterr().out
