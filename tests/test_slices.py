"""Who may import whom, and that a task or a paper is deleted by deleting its folders."""

import shutil
import tomllib
from pathlib import Path

import pytest

import cli
from tests.scripts import run_script

ROOT = Path(cli.__file__).parent
SOURCES = ("components", "framework", "recipes")
KINDS = ("tasks", "papers")
SLICES = {
    kind: sorted(path.parent.name for path in (ROOT / "framework" / kind).glob("*/__init__.py"))
    for kind in KINDS
}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
KEPT = f"Contracts: {len(CONTRACTS['contracts'])} kept, 0 broken."
CHECK = "import sys, importlinter.cli as linter; sys.exit(linter.lint_imports(no_cache=True))"
# Lists what is left, trains two steps and checks the contracts.
RUN = f"""
import cli
print(cli.__file__)
cli.main(["recipes"])
cli.main(["fit", "--config", "quickstart", "--config", "smoke"])
{CHECK}
"""


@pytest.mark.slow
def test_contracts_hold(tmp_path):
    done = run_script(CHECK, ROOT, ROOT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert KEPT in done.stdout


def test_contracts_name_no_slice():
    said = str(CONTRACTS)
    assert "framework.tasks.*" in said
    assert "framework.papers.*" in said
    for kind, names in SLICES.items():
        assert names
        assert not any(f"{kind}.{name}" in said for name in names)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the sources: one for all slices, so that Python compiles it once."""
    folder = tmp_path_factory.mktemp("sources")
    for source in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / source, folder / source, ignore=ignored)
    for file in ("cli.py", "pyproject.toml"):
        shutil.copy(ROOT / file, folder / file)
    return folder


@pytest.fixture
def without(copied, tmp_path):
    """Deletes a slice from the copy, `without(kind, name)`, and puts it back in the end."""
    moved = {}

    def delete(kind, name):
        recipes = [path for path in (copied / "recipes").rglob(f"{name}/") if path.is_dir()]
        for number, folder in enumerate([copied / "framework" / kind / name, *recipes]):
            moved[folder] = tmp_path / str(number)
            shutil.move(folder, moved[folder])
        return copied

    yield delete
    for folder, kept in reversed(moved.items()):
        shutil.move(kept, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in SLICES.items() for name in names]
)
def test_a_slice_is_deleted_with_its_folders(kind, name, without, tmp_path):
    folder = without(kind, name)
    done = run_script(RUN, folder, folder, tmp_path)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    where, *lines = done.stdout.splitlines()
    assert where == str(folder / "cli.py")
    for first in ("quickstart ", "Metrics after 2 steps", KEPT):
        assert any(line.startswith(first) for line in lines), first
