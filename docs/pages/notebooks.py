"""Notebooks as pages: their text, their code, and the outputs that are kept in them.

    python docs/pages/notebooks.py    runs all of them, and keeps what they print and draw

What they print and draw is kept in the files, so that they can be read where nothing is trained:
on this site, whose build would take minutes otherwise, and wherever else notebooks are shown. It
is small, and a test runs them. The error stream, which speaks of a machine, is not kept.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
LONGEST = 180  # seconds of a cell


def paths() -> list[Path]:
    """Returns the notebooks, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def pages() -> dict[str, str | bytes]:
    """Returns pages in Markdown and pictures, by their addresses."""
    found: dict[str, str | bytes] = {}
    for path in paths():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parts = [part for k, cell in enumerate(cells) for part in _cell(cell, f"{path.stem}_{k}")]
        found[f"notebooks/{path.stem}.md"] = "\n\n".join(text for text, _ in parts) + "\n"
        found |= {f"notebooks/{name}": data for _, files in parts for name, data in files.items()}
    return found


def executed(path: Path) -> Any:
    """Runs a notebook in a kernel of its own, in an empty folder, and returns it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    import nbformat  # with nbclient, of the extra `docs`
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    drawing = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=LONGEST, resources=place).execute(env=drawing)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("text/html", None)
    return notebook


def _cell(cell: Mapping[str, Any], name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yields Markdown, and the pictures that it shows by their names."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source, {}
        return
    yield f"```python\n{source}\n```", {}
    for number, output in enumerate(cell["outputs"]):
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/png" in data:
            picture = f"{name}_{number}.png"
            yield f"![]({picture})", {picture: base64.b64decode("".join(data["image/png"]))}
        else:
            yield f"```text\n{''.join(data['text/plain']).rstrip()}\n```", {}


if __name__ == "__main__":
    for each in paths():
        text = json.dumps(executed(each), indent=1, ensure_ascii=False)
        each.write_text(text + "\n", encoding="utf-8")
