"""UTF-8 on every terminal: what is read, and what can be shown of what is printed."""

from __future__ import annotations

import locale
import sys
from io import TextIOWrapper

LOCALES = ("C.UTF-8", "en_US.UTF-8", "UTF-8")  # of which some system has each


def use_utf8() -> None:
    """Lets Python read files as UTF-8, whatever the terminal says, where the system can do that.

    What the terminal cannot show is printed as a question mark.
    """
    for name in LOCALES:
        if reads_utf8():
            break
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not _is_utf8(stream.encoding):
            stream.reconfigure(errors="replace")


def reads_utf8() -> bool:
    """Returns whether Python reads files as UTF-8 unless told otherwise."""
    return _is_utf8(locale.getpreferredencoding(False))


def _is_utf8(name: str) -> bool:
    return name.lower().replace("-", "") == "utf8"
