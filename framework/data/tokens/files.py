"""Files of token ids that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from framework.data.tokens.corpora import Corpus
from framework.data.tokens.streams import SPLITS, Stream, Streams
from framework.data.tokens.tokenizer import Numerals, Tokenizer

CHUNK = 1 << 24  # tokens that are checked at once


class TokenFiles(Corpus):
    """Files of token ids, `.npy` or raw integers (`.bin`), which are mapped where they lie.

    With a `FileTokenizer` that made them, ids are shown as text and bits per byte can be measured;
    without one a byte is taken to be a token.

    Args:
        train: File to train on.
        val: File to validate on.
        vocab_size: Number of tokens, larger than every id.
        test: File to test on; if not given, the validation file.
        dtype: Type of raw integers, such as "uint16" or "uint32".

    Raises:
        ValueError: If a file is missing, empty or holds no integers.
    """

    def __init__(
        self, train: str, val: str, vocab_size: int, test: str | None = None, dtype: str = "uint16"
    ) -> None:
        self.vocab_size = vocab_size
        paths = {"train": train, "val": val, "test": test or val}
        self.files = {split: Stream(Path(path), dtype) for split, path in paths.items()}

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Checks that all ids lie in the vocabulary.

        Raises:
            ValueError: If an id does not.
        """
        for split in SPLITS:
            self._check(split)
        if tokenizer is None:
            return Streams(self.files, Numerals(self.vocab_size), 1.0)
        vocabulary = tokenizer.fit("", tuple)
        if vocabulary.size > self.vocab_size:
            raise ValueError(
                f"TokenFiles: the tokenizer has {vocabulary.size} tokens, more than "
                f"vocab_size={self.vocab_size}; give the tokenizer that the files were made with."
            )
        predicted = self.files["val"].ids[1:]
        length = len(vocabulary.decode(predicted.tolist()).encode())
        return Streams(self.files, vocabulary, length / max(1, len(predicted)))

    def _check(self, split: str) -> None:
        ids = self.files[split].ids
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            wrong = np.flatnonzero((chunk < 0) | (chunk >= self.vocab_size))
            if len(wrong):
                raise ValueError(
                    f"TokenFiles: token {start + wrong[0]} of {str(self.files[split].path)!r} is "
                    f"{chunk[wrong[0]]}, "
                    f"beyond vocab_size={self.vocab_size}; check the size or dtype."
                )
