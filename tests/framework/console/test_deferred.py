"""Packages that the command line imports when they are used."""

import subprocess
import sys

import pytest

from framework.console.deferred import deferred

PACKAGE = """
from functools import wraps
LEVELS = (1, 2)
class Figure:
    width = 7
    def __init__(self, title="none"):
        self.title = title
def doubled(function):
    @wraps(function)
    def twice(*args):
        return 2 * function(*args)
    return twice
def scaled(by):
    return lambda function: lambda *args: by * function(*args)
"""
USER = """
import drawing.sub
import drawing as d
from drawing import Figure, doubled, scaled, sub
from drawing.sub import deep
def area(figure: Figure) -> Figure | None: ...
@doubled
def one(): return 1
@scaled(3)
def two(): return 2
class Three:
    @doubled
    def three(self): return 3
"""
STARTS = """
import sys, cli
cli._import_classes()
print(*(name for name in cli.LATE if name in sys.modules))
from torch import nn
from lightning.pytorch.utilities import compile
assert not isinstance(nn.Linear(1, 1), compile.OptimizedModule)
import torch._dynamo, torchmetrics
compiled = torch._dynamo.OptimizedModule(nn.Linear(1, 1), lambda x: x)
assert isinstance(compiled, compile.OptimizedModule)
metric = torchmetrics.MeanMetric()
metric.update(1.0)
figure, _ = metric.plot()
from framework.figures.style import Figure
assert isinstance(figure, Figure)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `drawing`, and a module `draws` that uses it, neither of which is imported yet."""
    (tmp_path / "drawing").mkdir()
    (tmp_path / "drawing" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "drawing" / "sub.py").write_text("deep = 5\ndef deeper(): return 6\n")
    (tmp_path / "draws.py").write_text(USER)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("drawing", "drawing.sub", "draws"):
        sys.modules.pop(name, None)


def test_a_deferred_package_is_imported_when_something_of_it_is_used(package):
    with deferred("drawing"):
        import draws
    assert "drawing" not in sys.modules
    assert not isinstance(3, draws.Figure)
    assert not issubclass(int, draws.Figure)
    assert "drawing" not in sys.modules
    assert draws.Figure("peaks").title == "peaks"

    import drawing

    assert draws.d.LEVELS == drawing.LEVELS
    assert draws.d.Figure is drawing.Figure
    assert draws.Figure.width == 7
    assert isinstance(drawing.Figure(), draws.Figure)
    assert issubclass(drawing.Figure, draws.Figure)
    assert not isinstance(3, draws.Figure)
    assert draws.sub.deeper() == 6


def test_decorators_of_a_deferred_package_are_applied_later(package):
    with deferred("drawing"):
        import draws
    assert (draws.one(), draws.two(), draws.Three().three()) == (2, 6, 6)


def test_names_that_a_package_lacks_are_reported_as_ever(package):
    with deferred("drawing"):
        import draws
    with pytest.raises(ModuleNotFoundError, match=r"drawing\.missing"):
        _ = draws.d.missing


def test_packages_that_are_missing_or_there_are_left_alone(package):
    import drawing

    with deferred("drawing", "of_no_such_name"):
        from drawing import Figure

        with pytest.raises(ModuleNotFoundError):
            import of_no_such_name  # noqa: F401
    assert Figure is drawing.Figure


@pytest.mark.slow
def test_the_command_line_starts_without_what_few_runs_use():
    command = [sys.executable, "-c", STARTS]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
