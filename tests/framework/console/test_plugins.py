"""Short names of classes in installed packages."""

import sys
from importlib import import_module
from types import ModuleType

import pytest

import cli
from components.interfaces import HeadFactory
from framework.console import options, plugins
from framework.console.errors import UserError

HEAD = """\
from components.heads import NormalHead

__all__ = ["OtherHead", "other_function"]


class OtherHead(NormalHead):
    '''A head of another package.'''


def other_function():
    pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package whose module has a text, in a folder of its own."""
    made = []

    def make(text, package="other-heads", module="other_heads"):
        made.append(module)
        folder = tmp_path / package
        info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[overtone.components]\nheads = {module}\n")
        if text is not None:
            (folder / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_names_classes_on_the_command_line(install, capsys):
    install(HEAD)
    with pytest.raises(SystemExit):
        cli.main(["fit", "--config", "two_peaks", "--model.head", "OtherHed"])
    assert "there is no class 'OtherHed'" in (said := capsys.readouterr().err)
    assert "did you mean OtherHead" in said
    found = options.class_of(HeadFactory, "OtherHead")
    assert found is import_module("other_heads").OtherHead


def test_a_class_that_is_no_component_does_no_harm(install):
    install("__all__ = ['Path']\nfrom pathlib import Path\n")
    plugins.load([])
    plugins.load([ModuleType("without_all")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
        ("class Head", "SyntaxError: expected ':'"),
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("raise SystemExit('now')", "SystemExit: now"),
        ("__all__ = ['Nothing']", "has no attribute 'Nothing'"),
        ("class Head: pass", "has no attribute '__all__'"),
        (None, "No module named 'other_heads'"),
    ],
)
def test_a_package_that_cannot_be_imported_is_named(text, expected, install):
    install(text)
    with pytest.raises(UserError) as caught:
        plugins.load([])
    said = str(caught.value)
    assert said.startswith("The package other-heads offers components in other_heads")
    assert expected in said
    assert said.endswith("`pip uninstall other-heads`.")


def test_a_name_that_is_taken(install):
    text = "__all__ = ['Path']\nfrom pathlib import Path\n"
    ours = ModuleType("ours")
    ours.__all__ = ["Path"]
    install(text)
    with pytest.raises(UserError, match="other-heads has a class Path, as overtone has"):
        plugins.load([ours])
    install(text, "more-heads", "more_heads")
    with pytest.raises(UserError, match="other-heads has a class Path, as more-heads has"):
        plugins.load([])
