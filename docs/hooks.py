"""Hooks of MkDocs: pages that are made when the site is built, links, tables and formulas."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from pages import densities, gallery, markup, notebooks, reference, repository

SECTIONS = {  # of the navigation, to which the pages of a folder that are made are appended
    "Papers": "papers/",
    "Notebooks": "notebooks/",
    "Parts": "reference/components/",
    "Training": "reference/framework/",
}
HEADS = "heads/"


def on_config(config: MkDocsConfig) -> None:
    """Appends the pages that are made to their sections."""
    addresses = [address for address in _made() if address.endswith(".md")]
    for title, pages in _sections(config.nav):
        folder = SECTIONS.get(title)
        pages += [address for address in addresses if folder and address.startswith(folder)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages and pictures that are not in the folder of the documentation."""
    for address, content in {**_made(), **_drawn()}.items():
        files.append(File.generated(config, address, content=content))
    for path in repository.pictures():
        place = str(repository.ROOT / path)
        files.append(File.generated(config, path, abs_src_path=place))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Puts tables and pictures where a page asks for them, and lets links lead to pages."""
    address = page.file.src_uri
    places: dict[str, str] = {}
    if address.startswith(HEADS):
        places = {"densities": densities.panels(page.file.name)}
    elif address == "gallery.md":
        places = gallery.tables()
    for name, text in places.items():
        markdown = markdown.replace(f"<!-- {name} -->", text)
    more = repository.claims(markdown, address) if address.startswith(SECTIONS["Papers"]) else ""
    return repository.linked(markdown, address) + more


def on_page_content(html: str, **_: Any) -> str:
    """Turns formulas into MathML."""
    return markup.as_mathml(html)


def _sections(nav: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yields the sections of the navigation, also those inside of others."""
    for item in nav:
        if isinstance(item, dict):
            for title, content in item.items():
                if isinstance(content, list):
                    yield title, content
                    yield from _sections(content)


@cache
def _made() -> dict[str, str | bytes]:
    return {**repository.pages(), **notebooks.pages(), **reference.pages()}


@cache
def _drawn() -> dict[str, bytes]:
    return {f"{HEADS}{name}": drawn for name, drawn in densities.drawn().items()}
