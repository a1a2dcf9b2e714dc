"""Notebooks run from their first cell to the last, and print and draw what is kept in them."""

import json

import pytest

from docs.pages import notebooks

pytest.importorskip("nbclient", reason="the extra docs is not installed")
pytestmark = pytest.mark.slow


def outputs(cells):
    """Returns what each cell of code gives, by kind; numbers differ between processors."""
    code = (cell for cell in cells if cell["cell_type"] == "code")
    return [[sorted(each.get("data", {"text": ""})) for each in cell["outputs"]] for cell in code]


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    kept = json.loads(path.read_text())["cells"]
    assert outputs(notebooks.executed(path).cells) == outputs(kept)
