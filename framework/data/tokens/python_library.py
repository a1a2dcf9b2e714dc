"""The Python standard library as a corpus: code that is on every machine."""

from __future__ import annotations

import sysconfig
from functools import cached_property
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.tokens.corpora import Corpus
from framework.data.tokens.streams import Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer


class PythonLibrary(Corpus):
    """The sources of the Python standard library, top level only, joined in order of their names.

    The text differs between versions of Python, and so do results. Bytes beyond ASCII are replaced
    by question marks.

    Args:
        limit: Number of bytes that are used, from the first on; None for all, some 5 MB.
        holdout: Fraction at the end of these that is for validation, and for the test too.

    Raises:
        ValueError: If `limit` is not positive, `holdout` is not between 0 and 1, or this Python
            came without sources.
    """

    def __init__(self, limit: int | None = 1_500_000, holdout: float = 0.05) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"PythonLibrary: limit={limit} leaves no text; use at least 1.")
        if not 0 < holdout < 1:
            raise ValueError(
                f"PythonLibrary: holdout={holdout} is a fraction; use one between 0 and 1."
            )
        self.limit, self.holdout = limit, holdout

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the text, one document a split."""
        return tokenized(self, tokenizer or BytePairTokenizer())

    def documents(self, split: str) -> list[str]:
        """Reads the text of a split."""
        cut = len(self._text) - round(len(self._text) * self.holdout)
        return [self._text[:cut] if split == "train" else self._text[cut:]]

    def digest(self, split: str) -> str:
        """Identifies the text of a split by its content."""
        return fingerprint(*self.documents(split))

    @cached_property
    def _text(self) -> str:
        folder = Path(sysconfig.get_path("stdlib"))
        text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
        if not text:
            raise ValueError(
                f"PythonLibrary: {str(folder)!r} holds no sources; use TextFiles with other text."
            )
        return text[: self.limit].decode("ascii", "replace").replace("\ufffd", "?")
