"""The index of a folder of token shards: what each holds, so that none need be read to know."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from framework.data.tokens.vocabularies import Vocabulary, restore
from framework.whole_files import write_text

INDEX = "index.json"  # written last: a folder without it is not complete
TOKENIZER = "tokenizer.json"  # of a vocabulary of the tokenizers library, in its own format
FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """A file of raw little-endian token ids, and what it holds.

    The token that begins a document precedes each, so that a shard begins with it.

    Args:
        name: Name of the file in the folder.
        tokens: Number of ids.
        documents: Number of documents that begin in it.
        bytes: Length of the documents as text.
        largest: The largest id.
        sha256: Checksum of the file.
    """

    name: str
    tokens: int
    documents: int
    bytes: int
    largest: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """All shards of a folder, in the order of the text.

    Args:
        shards: The files.
        dtype: Type of the ids, "uint16" or "uint32".
        vocabulary: The meaning of the ids.
        origin: Identifies the text and the tokenizer that the shards were made from.
    """

    shards: tuple[Shard, ...]
    dtype: str
    vocabulary: Vocabulary
    origin: str

    @property
    def tokens(self) -> int:
        """Number of ids in all shards."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Length of all documents as text."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return sum(shard.documents for shard in self.shards)


def write_index(index: Index, folder: Path) -> None:
    """Writes the index of a folder, and its tokenizer; the shards must be written.

    Raises:
        OSError: If it cannot be written.
    """
    vocabulary = index.vocabulary.describe()
    tokenizer = vocabulary.pop("json", None)
    if tokenizer is not None:
        write_text(folder / TOKENIZER, tokenizer)
    facts = {
        "format": FORMAT,
        "origin": index.origin,
        "dtype": index.dtype,
        "vocabulary": vocabulary,
        "vocabulary_digest": index.vocabulary.digest(),
        "vocabulary_size": index.vocabulary.size,
        "begin_token": index.vocabulary.begin,
        "end_token": index.vocabulary.end,
        "tokens": index.tokens,
        "documents": index.documents,
        "bytes": index.bytes,
        "shards": [asdict(shard) for shard in index.shards],
    }
    write_text(folder / INDEX, json.dumps(facts, indent=1))


def read_index(folder: Path, option: str) -> Index:
    """Reads the index of a folder.

    Args:
        folder: The folder.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If there is none, or it or its tokenizer is damaged.
    """
    try:
        facts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(
            f"{option}={str(folder)!r} is no folder with an {INDEX}; give one that `overtone "
            "prepare` has written to its end, the same command again goes on with one."
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(_damaged(folder, str(error))) from error
    if isinstance(facts, dict) and facts.get("format") != FORMAT:
        raise ValueError(
            f"{option}={str(folder)!r} has an index of format {facts.get('format')!r}, and this "
            f"version reads {FORMAT}; use the version that wrote it, or prepare the text again."
        )
    try:
        shards = tuple(_shard(facts) for facts in facts["shards"])
        vocabulary = _vocabulary(facts["vocabulary"], folder)
        if vocabulary is None or vocabulary.digest() != facts["vocabulary_digest"]:
            raise ValueError("its tokenizer is another one")
        return Index(shards, str(facts["dtype"]), vocabulary, str(facts["origin"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(_damaged(folder, str(error))) from error


def _shard(facts: Mapping[str, Any]) -> Shard:
    made = Shard(**{field.name: facts[field.name] for field in fields(Shard)})
    if Path(made.name).name != made.name:
        raise ValueError(f"the name {made.name!r} leads out of the folder")
    return made


def _vocabulary(description: Mapping[str, Any], folder: Path) -> Vocabulary | None:
    if description["kind"] == "json":
        text = (folder / TOKENIZER).read_text(encoding="utf-8")
        return restore({**description, "json": text})
    return restore(description)


def _damaged(folder: Path, reason: str) -> str:
    return (
        f"The index of the token shards {str(folder)!r} is damaged ({reason}); run the command "
        "that prepared them again, in an empty folder."
    )


def require_sizes(folder: Path, shards: Sequence[Shard], itemsize: int) -> None:
    """Checks that all shards are there in full, without reading them.

    Raises:
        ValueError: If one is not.
    """
    for shard in shards:
        path = folder / shard.name
        found = path.stat().st_size if path.is_file() else None
        if found != shard.tokens * itemsize:
            state = "is missing" if found is None else f"has {found:,} bytes"
            raise ValueError(
                f"The token shard {str(path)!r} {state}, and its index says "
                f"{shard.tokens * itemsize:,} bytes; remove the folder and run `overtone "
                "prepare` again."
            )
