"""The sdist holds every file, the wheel what runs anywhere; pins admit what is declared."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cli
from framework.version import VERSION
from tests.conftest import sources
from tests.scripts import run_script

ROOT = Path(cli.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def shipped(suffix):
    folders = (ROOT / name for name in ("components", "framework", "recipes"))
    return {str(p.relative_to(ROOT)) for folder in folders for p in folder.rglob(f"*{suffix}")}


@pytest.mark.slow
def test_sdist_holds_every_file(sdist):
    """So that from it alone one builds the documentation and runs the tests."""
    names = {name.partition("/")[2] for name in sdist.getnames()}
    assert "recipes/forecast/quickstart.png" in names
    assert set(sources()) <= names


@pytest.mark.slow
@pytest.mark.parametrize(
    "suffix",
    [".py", ".yaml", ".sbatch", ".sh", ".yml", ".html", ".css", ".js", "py.typed"],
)
def test_wheel_holds_every_file(suffix, wheel):
    names = set(wheel.namelist())
    assert "cli.py" in names
    assert shipped(suffix)
    assert shipped(suffix) <= names


@pytest.mark.slow
def test_wheel_holds_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    assert tops - metadata == {"cli.py", "components", "framework", "recipes"}
    assert not [name for name in wheel.namelist() if name.endswith((".png", ".pyc"))]


@pytest.mark.slow
def test_wheel_runs_from_any_directory(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    wheel.extractall(site)
    script = "import cli; print(cli.__file__); cli.main(['recipes'])"
    done = run_script(script, elsewhere, site, tmp_path)
    assert done.returncode == 0, done.stderr
    where, *lines = done.stdout.splitlines()
    assert where == str(site / "cli.py")
    assert any(line.startswith("quickstart ") for line in lines)


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = (Requirement(line) for line in lines if not line.startswith("#"))
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pinned}


EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_pins_admit_every_declared_dependency(extra):
    declared = map(Requirement, EXTRAS[extra] if extra else PROJECT["dependencies"])
    for requirement in (r for r in declared if r.name != PROJECT["name"]):
        pin = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), requirement
        assert "+" not in pin  # a local version would bind to one index


def test_developers_have_every_extra_that_is_small():
    (own,) = (r for r in map(Requirement, EXTRAS["dev"]) if r.name == PROJECT["name"])
    assert own.extras == {*EXTRAS} - {"dev", "classical", "docs", "lm-eval", "wandb"}


def test_never_a_compromised_release_nor_the_other_lightning():
    (lightning,) = (r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "lightning")
    assert not any(map(lightning.specifier.contains, ("2.6.2", "2.6.3", "3.0")))
    assert lightning.specifier.contains("2.6.4")
    assert "import pytorch_lightning" not in (ROOT / "cli.py").read_text()


def test_both_scripts_are_main():
    assert PROJECT["scripts"] == {"overtone": cli.TARGET, "lightning": cli.TARGET}


def test_every_file_states_the_one_version():
    citation = (ROOT / "CITATION.cff").read_text()
    image = (ROOT / "recipes" / "cluster" / "pytorchjob.yml").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert PROJECT["dynamic"] == ["version"]
    assert f"\nversion: {VERSION}\n" in citation
    assert f"overtone:{VERSION}" in image
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] in (VERSION, "Unreleased")


@pytest.mark.slow
def test_the_wheel_has_that_version(wheel):
    assert any(f"overtone-{VERSION}.dist-info" in name for name in wheel.namelist())
