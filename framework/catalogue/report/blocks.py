"""What a report is made of: sections of tables, charts, pictures, texts and sentences."""

from __future__ import annotations

import base64
import binascii
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from framework.catalogue.report.charts import Chart

PNG = b"\x89PNG\r\n\x1a\n"
WHITE = 250  # of 255, at least, in each color


@dataclass(frozen=True)
class Block:
    """A part of a section; `kind` names the macro of `blocks.html` that writes it."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Sentence(Block):
    """A sentence or two."""

    kind: ClassVar[str] = "sentence"
    text: str


@dataclass(frozen=True)
class Table(Block):
    """A table.

    Args:
        rows: Cells, all rows of one length; the first row names the columns.
        title: A line above it.
        words: Whether all cells hold words, which are aligned left.
    """

    kind: ClassVar[str] = "table"
    rows: Sequence[Sequence[str]]
    title: str = ""
    words: bool = False


@dataclass(frozen=True)
class Charts(Block):
    """Charts beside each other."""

    kind: ClassVar[str] = "charts"
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Text(Block):
    """A text as it is, which may be long.

    Args:
        title: What it is.
        text: The text.
        folded: Whether the reader unfolds it.
        file: Name under which it can be saved; "" if it cannot.
    """

    kind: ClassVar[str] = "text"
    title: str
    text: str
    folded: bool = True
    file: str = ""

    @property
    def link(self) -> str:
        """The text as an address of its own."""
        encoded = _base64(self.text.encode(errors="replace"))
        return f"data:text/plain;charset=utf-8;base64,{encoded}"


@dataclass(frozen=True)
class Picture(Block):
    """A PNG file.

    Args:
        title: What it shows.
        png: Its bytes.
        source: Where they are from, for errors.

    Raises:
        ValueError: If they are damaged, or those of another kind of file.
    """

    kind: ClassVar[str] = "picture"
    title: str
    png: bytes
    source: Path | str

    def __post_init__(self) -> None:
        if not _is_whole(self.png):
            raise ValueError(
                f"{self.source} is no whole PNG file; restore it, or move it out of the folder."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = struct.unpack(">II", self.png[16:24])
        return width, height

    @property
    def is_on_white(self) -> bool:
        """Whether its corners are white or transparent, as of charts, which may be inverted."""
        with Image.open(io.BytesIO(self.png)) as opened:
            corners = np.asarray(opened.convert("RGBA"))[[0, -1]][:, [0, -1]]
        return bool(np.all((corners[..., :3].min(-1) >= WHITE) | (corners[..., 3] == 0)))

    @property
    def link(self) -> str:
        """The picture as an address of its own."""
        return f"data:image/png;base64,{_base64(self.png)}"


@dataclass(frozen=True)
class Section:
    """A section with a heading, which the table of contents names, too."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A report.

    Args:
        title: What is reported.
        about: A line on what it is.
        headline: The numbers at the top: name, value, and a remark or "".
        sections: The sections.
    """

    title: str
    about: str
    headline: Sequence[tuple[str, str, str]]
    sections: Sequence[Section]


def _is_whole(png: bytes) -> bool:
    """Whether bytes are those of a PNG file: a header, and chunks with their checksums."""
    if not png.startswith(PNG) or png[12:16] != b"IHDR":
        return False
    place = len(PNG)
    while place + 12 <= len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        end = place + 8 + length
        if png[end : end + 4] != struct.pack(">I", binascii.crc32(png[place + 4 : end])):
            return False
        if png[place + 4 : place + 8] == b"IEND":
            return True
        place = end + 4
    return False


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
