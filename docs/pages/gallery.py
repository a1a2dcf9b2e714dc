"""Tables of the gallery: recipes and studies with what their headers state, and their pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from framework.console import recipes

FACTS = ("command", "machine", "duration", "result")
TITLES = {  # of folders of recipes; others are called as their folder
    "decision": "Decisions",
    "density": "Densities",
    "forecast": "Forecasts",
    "sequence": "Sequences of numbers",
}


def facts(path: Path) -> dict[str, str]:
    """Reads what the header of a recipe or study states, by the words of `FACTS`.

    Args:
        path: A YAML file that opens with lines such as `#   duration   24 s`, each of which may
            go on in lines that are indented further.
    """
    found: dict[str, str] = {}
    last = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if opening := re.match(rf"#   ({'|'.join(FACTS)}) +(.+)", line):
            last = opening[1]
            found[last] = opening[2]
        elif last and (more := re.match(r"# {10,}(\S.*)", line)):
            found[last] += f" {more[1]}"
        elif last:
            break
    return found


def tables() -> dict[str, str]:
    """Returns the tables of recipes, overlays and studies in Markdown, by these words."""
    every = recipes.recipes()
    overlays = [path for path in every if _folder(path) == "overlays"]
    alone = [path for path in every if path not in overlays]
    sections = (
        line
        for folder, paths in groupby(alone, key=_folder)
        for line in (f"### {TITLES.get(folder, folder.capitalize())}\n", *_section([*paths]))
    )
    return {
        "recipes": "\n".join(sections),
        "overlays": "\n".join(_overlays(overlays)),
        "studies": "\n".join(_section(recipes.studies())),
    }


def _section(paths: Sequence[Path]) -> Iterator[str]:
    """Yields a table of recipes, then the pictures that stand beside them."""
    yield "| recipe | took | result |\n|---|---|---|"
    for path in paths:
        stated = facts(path)
        what = f"**{path.stem}**<br>{recipes.first_sentence(path)}<br>`{stated['command']}`"
        yield f"| {what} | {stated['duration']}<br>{stated['machine']} | {stated['result']} |"
    for path in paths:
        for picture in sorted(path.parent.glob(f"{path.stem}*.png")):
            shown = picture.stem.replace("_", " ")
            yield f"\n![Picture of {shown}]({_inside(picture)})\n\n*{shown}*"
    yield ""


def _overlays(paths: Iterable[Path]) -> Iterator[str]:
    yield "| overlay | |\n|---|---|"
    for path in paths:
        name = path.relative_to(recipes.FOLDER / "overlays").with_suffix("").as_posix()
        yield f"| `{name}` | {recipes.first_sentence(path)} |"


def _folder(path: Path) -> str:
    return path.relative_to(recipes.FOLDER).parts[0]


def _inside(path: Path) -> str:
    return path.relative_to(recipes.FOLDER.parent).as_posix()
