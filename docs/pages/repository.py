"""Files of the repository that the site shows as they are, and links that lead to them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = "recipes/studies/README.md"
SHOWN = {  # pages of the site that are files elsewhere, by the path of the file
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    RESULTS: "papers/results.md",
    "framework/papers/chronos/weights/zero_shot.md": "papers/zero_shot.md",
    "recipes/language/token_encoding/README.md": "papers/token_encoding_run.md",
}
SECTIONS = {  # of the README that are pages of the site
    "How a model is put together": "model.md",
    "Good to know": "good_to_know.md",
}
ELSEWHERE = {"README.md": "index.md", "recipes": "gallery.md"}  # what a page says in other words
LINK = re.compile(r"(?P<sign>!?)\[(?P<text>[^\[\]]*)\]\((?P<path>[\w./-]+)(?P<anchor>#[\w-]*)?\)")
PICTURES = (".png", ".svg")


def papers() -> dict[str, str]:
    """Returns the pages of papers that have a folder of their own, by the path of the file."""
    found = sorted(ROOT.glob("framework/papers/*/README.md"))
    return {_of(path): f"papers/{path.parent.name}.md" for path in found}


def pages() -> dict[str, str]:
    """Returns the text of each page that is a file elsewhere, or a part of it, by its address."""
    shown = {**papers(), **{file: page for file, page in SHOWN.items() if (ROOT / file).exists()}}
    whole = {page: (ROOT / file).read_text(encoding="utf-8") for file, page in shown.items()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = dict(part.split("\n", 1) for part in re.split(r"^## ", readme, flags=re.MULTILINE))
    return {**whole, **{page: f"# {name}\n{parts[name]}" for name, page in SECTIONS.items()}}


def pictures() -> list[str]:
    """Returns the paths of the pictures that stand beside recipes and studies."""
    return sorted(_of(path) for path in (ROOT / "recipes").rglob("*.png"))


def linked(text: str, page: str, file: str = "") -> str:
    """Lets the links of a page that lead to files of the repository lead to pages of the site.

    A link to a file that the site does not show becomes its text. One to nothing stays as it is,
    so that the build reports it.

    Args:
        text: Markdown.
        page: Address of the page in the site, such as `own/series.md`.
        file: Path of the file that the text is from; that of the page if not given.
    """
    shown = {**papers(), **SHOWN}
    origins = {address: path for path, address in shown.items()}
    origins |= dict.fromkeys(SECTIONS.values(), "README.md")
    folder = posixpath.dirname(file or origins.get(page, f"docs/{page}"))

    def place(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link["path"]))
        address = {**ELSEWHERE, **shown}.get(path, "")
        if path.startswith("docs/"):
            address = path.removeprefix("docs/").replace(".ipynb", ".md")
        elif link["sign"] and (ROOT / path).suffix in PICTURES:
            address = path
        elif not address:
            return link["text"] if (ROOT / path).exists() else link[0]
        target = posixpath.relpath(address, posixpath.dirname(page) or ".")
        return f"{link['sign']}[{link['text']}]({target}{link['anchor'] or ''})"

    return LINK.sub(place, text)


def claims(text: str, page: str) -> str:
    """Returns the table of what a paper claims and what came out here, "" if there is none.

    Args:
        text: The page of the paper, whose first number of arXiv is that of the paper.
        page: Its address in the site.
    """
    number = re.search(r"arXiv:(\d{4}\.\d{5})", text)
    results = ROOT / RESULTS
    if page in SHOWN.values() or number is None or not results.exists():
        return ""
    sections = re.split(r"^(?=##? )", results.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = (each.partition("\n") for each in sections)
    tables = [table for heading, _, table in found if number[1] in heading]
    return "".join(f"\n## Claim by claim\n{linked(table, page, RESULTS)}" for table in tables)


def _of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
