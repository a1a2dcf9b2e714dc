"""Docstrings as Markdown, and formulas as MathML, which browsers draw without a script."""

from __future__ import annotations

import html
import re
from typing import Any

import griffe
from latex2mathml.converter import convert

DIRECTIVE = re.compile(r"^\.\. math:: *(.*(?:\n+(?: {4,}|\t).*)*)$", re.MULTILINE)
ROLE = re.compile(r":math:`([^`]+)`")
SOURCE = re.compile(r"^Source: (.*(?:\n {4,}.*)*)", re.MULTILINE)
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


class Docstrings(griffe.Extension):
    """Lets docstrings, whose formulas are reStructuredText, be read as Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Returns a docstring with formulas in dollars, and its source as an ordinary paragraph.

    Args:
        text: The docstring, without the indentation of its code.
    """
    text = DIRECTIVE.sub(_in_two_lines, text)
    return ROLE.sub(r"$\1$", SOURCE.sub(_paragraph, text))


def as_mathml(page: str) -> str:
    """Returns the HTML of a page with its formulas in MathML.

    Args:
        page: HTML with formulas as `pymdownx.arithmatex` marks them.
    """
    return FORMULA.sub(_mathml, page)


def _in_two_lines(found: re.Match[str]) -> str:
    lines = (line.strip() for line in found[1].splitlines())
    return "$$\n" + "\n".join(filter(None, lines)) + "\n$$"


def _paragraph(found: re.Match[str]) -> str:
    return f"*Source:* {' '.join(found[1].split())}"


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found["tag"] == "div" else "inline"
    return convert(html.unescape(found["tex"]).strip(), display=display)
