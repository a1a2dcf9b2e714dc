"""Writes a report as one HTML file that loads nothing: style, script and pictures are inside."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from framework.catalogue.report.blocks import Report

FOLDER = Path(__file__).parent
STYLE, SCRIPT = "page.css", "page.js"


def html(report: Report) -> str:
    """Returns the report as HTML; all text in it is escaped.

    The policy in its head lets a browser load nothing, and run and apply nothing but its own
    script and style.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_read(name) for name in (STYLE, SCRIPT))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )
    page = environment.get_template("page.html")
    return page.render(report=report, style=style, script=script, policy=policy)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Returns how a policy names a text that may stand in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
