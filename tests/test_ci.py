"""The checks of a clone run what the README shows, and every test that is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import cli
from framework.version import VERSION

ROOT = Path(cli.__file__).parent
SCRIPT = (ROOT / ".ci" / "run").read_text()


def test_the_checks_run_the_command_of_the_readme():
    (command,) = re.findall(r"^(pip install .*&& pytest)$", (ROOT / "README.md").read_text(), re.M)
    assert f'step bash -c "{command}"' in SCRIPT


def test_every_hook_is_one_of_the_checks():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"entry: (.*)", hooks)
    assert len(entries) == hooks.count("- id: ") > 0
    for entry in entries:
        words = [word for word in entry.split() if word not in ("--force-exclude", "--fix")]
        assert re.search(rf"^step {' '.join(words)}\b", SCRIPT, re.M), entry


def test_what_needs_a_cluster_is_run_by_a_script_of_its_own():
    subprocess.run(["bash", "-n", ROOT / ".ci" / "cluster"], check=True)
    assert "step .ci/cluster" in SCRIPT
    tests = list((ROOT / "tests" / "cluster").glob("test_*.py"))
    assert tests
    assert all("\npytestmark = CLUSTER\n" in path.read_text() for path in tests)


def test_what_needs_more_packages_is_run_once_they_are_there():
    install = "step pip install --no-build-isolation -c constraints.txt"
    _, after = SCRIPT.split(f"{install} -e '.[docs,lm-eval,wandb]'\n")
    listed = r"^extras=\(\n(.*?)^\)\nstep pytest .*-m '' \"\$\{extras"
    (extras,) = re.findall(listed, after, re.M | re.S)
    assert "tests/framework/generation/test_tasks.py\n" in extras
    ((file, name),) = re.findall(r"(tests/framework/test_loggers\.py)::(\w+)", extras)
    assert f"def {name}(" in (ROOT / file).read_text()
    (names,) = re.findall(r"tests/documentation/test_\{(\S+)\}\.py", extras)
    tests = (ROOT / "tests" / "documentation").glob("test_*.py")
    skipped = {path.stem for path in tests if "importorskip" in path.read_text()}
    assert {f"test_{name}" for name in names.split(",")} == skipped


@pytest.mark.parametrize("name", ["ci", "publish"])
def test_workflows_name_commands_and_files_that_exist(name):
    """YAML 1.1 reads the key `on` as true."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    assert {"name", True, "permissions", "jobs"} <= workflow.keys()
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert all(re.fullmatch(r"[\w-]+(/[\w-]+)+@\S+", s["uses"]) for s in steps if "uses" in s)
    commands = [step["run"] for step in steps if "run" in step]
    for command in commands:
        script, *words = command.split()
        assert shutil.which(ROOT / script) or script in ("grep", "python"), command
        assert all((ROOT / word).exists() for word in words if word.endswith((".py", ".txt")))
    if name == "publish":
        (check,) = (command for command in commands if command.startswith("grep"))
        settings = {**os.environ, "GITHUB_REF_NAME": f"v{VERSION}"}
        subprocess.run(["bash", "-c", check], cwd=ROOT, env=settings, check=True)
        settings["GITHUB_REF_NAME"] = "v9.9.9"
        assert subprocess.run(["bash", "-c", check], cwd=ROOT, env=settings).returncode == 1
    else:
        assert commands == [".ci/run"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [([], {"quick"}), (["-m", "slow"], {"slow"}), (["-m", ""], {"quick", "slow"})],
)
def test_slow_tests_are_left_out_unless_they_are_asked_for(chosen, expected, tmp_path):
    """With the settings of this project on a file of its own."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.slow\ndef test_slow(): pass\ndef test_quick(): pass\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take most of the time
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-n", "0", "-vv", *chosen, "test_it.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(re.findall(r"test_it.py::test_(\w+) PASSED", done.stdout)) == expected


def test_what_workers_share_is_made_once(shared):
    made = []
    folder = shared("once", made.append)
    assert shared("once", made.append) == folder
    assert made == [folder]
    assert folder.is_dir()


def test_what_failed_to_be_made_is_made_again(shared):
    def fail(folder):
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        shared("again", fail)
    assert not list(shared("again", lambda folder: None).iterdir())
