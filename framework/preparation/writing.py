"""Writes shards of token ids: each whole and on the disk before it has its name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from framework.data.cache import fingerprint
from framework.data.tokens.shards.index import Shard
from framework.data.tokens.streams import EncodedPiece, dtype_of, encoded_pieces
from framework.data.tokens.vocabularies import Vocabulary
from framework.preparation.inputs import Part
from framework.whole_files import write_text

RECORD = ".done"  # behind the name of a shard: what it holds, and what it was made from


class ShardWriter:
    """Writes the documents of a unit as a shard, unless that was done before.

    Args:
        folder: Where the shards are.
        vocabulary: Encodes the documents.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        self.folder, self.vocabulary = folder, vocabulary
        self.dtype = dtype_of(vocabulary)

    def origin(self, unit: Sequence[Part]) -> str:
        """Identifies what the shard of a unit is made from."""
        return fingerprint(self.vocabulary.digest(), *(part.digest() for part in unit))

    def write(self, number: int, unit: Sequence[Part]) -> Shard:
        """Writes the shard of a unit; one without documents has no file and 0 tokens.

        Args:
            number: Place of the shard among all.
            unit: Its text.

        Raises:
            ValueError: If the text cannot be read.
            OSError: If the shard cannot be written.
        """
        name = f"{number:06d}.bin"
        origin, record = self.origin(unit), self.folder / f"{name}{RECORD}"
        done = self._done(record, origin)
        if done is not None:
            return done
        try:
            shard = self._written(name, unit)
        except UnicodeDecodeError as error:
            files = ", ".join(sorted({repr(str(part.path)) for part in unit}))
            raise ValueError(
                f"prepare: a text in {files} is not UTF-8 ({error.reason}); convert it first."
            ) from error
        write_text(record, json.dumps({"origin": origin, "shard": asdict(shard)}))
        return shard

    def _done(self, record: Path, origin: str) -> Shard | None:
        """Returns the shard of a record, if it was made from the same and is there in full."""
        try:
            facts = json.loads(record.read_text(encoding="utf-8"))
            shard = Shard(**facts["shard"])
            path = self.folder / shard.name
            size = path.stat().st_size if shard.tokens else 0
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = size == shard.tokens * np.dtype(self.dtype).itemsize
        return shard if whole and facts["origin"] == origin else None

    def _written(self, name: str, unit: Sequence[Part]) -> Shard:
        temporary = self.folder / f".{name}.tmp"
        checksum, tokens, documents, length, largest = hashlib.sha256(), 0, 0, 0, 0
        with temporary.open("wb") as file:
            for piece in self._pieces(unit):
                data = piece.ids.tobytes()
                file.write(data)
                checksum.update(data)
                tokens, documents = tokens + len(piece.ids), documents + piece.opens
                length += piece.bytes
                largest = max(largest, int(piece.ids.max(initial=0)))
            file.flush()
            os.fsync(file.fileno())
        if tokens:
            os.replace(temporary, self.folder / name)
        else:
            temporary.unlink()
        return Shard(name, tokens, documents, length, largest, checksum.hexdigest())

    def _pieces(self, unit: Sequence[Part]) -> Iterator[EncodedPiece]:
        documents = (text for part in unit for text in part.documents() if text)
        return encoded_pieces(documents, self.vocabulary, self.dtype)
