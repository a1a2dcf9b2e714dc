"""TokenShards: a corpus in folders of token shards, as `overtone prepare` writes them."""

from __future__ import annotations

from pathlib import Path

from framework.data.tokens.corpora import Corpus
from framework.data.tokens.shards.index import Index, Shard, read_index
from framework.data.tokens.shards.stream import ShardedStream
from framework.data.tokens.streams import Streams
from framework.data.tokens.tokenizer import Tokenizer


class TokenShards(Corpus):
    """Folders that `overtone prepare` has written: token ids in many files, with an index.

    At the start no token is read, however many there are: the index says which ids occur. The
    windows are those of one file with all the tokens; the tokenizer is in the folder.

    Args:
        train: Folder to train on.
        val: Folder to validate on; if not given, the last shard of `train` is held out.
        test: Folder to test on; if not given, the validation text.

    Raises:
        ValueError: If a folder is not complete, or none is left to validate on.
    """

    def __init__(self, train: str, val: str | None = None, test: str | None = None) -> None:
        folders = {"train": train, "val": val or train, "test": test or val or train}
        read: dict[str, Index] = {}
        for split, path in folders.items():
            if path not in read:
                read[path] = read_index(Path(path), f"TokenShards: {split}")
        self.folders = folders
        self.indices = {split: read[path] for split, path in folders.items()}
        self.held_out = {"train": val is None, "val": val is None, "test": not (val or test)}
        shards = self.indices["train"].shards
        if val is None and len(shards) < 2:
            raise ValueError(
                f"TokenShards: train={train!r} has one shard, so that none can be held out; give "
                "another folder as val, or prepare smaller shards with --shard_bytes."
            )

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Maps the shards.

        Args:
            tokenizer: None, or the one that the shards were made with. That of a checkpoint may
                know more of it than the shards: what came with a published model.

        Raises:
            ValueError: If the folders or `tokenizer` are of other vocabularies, an id lies beyond
                it, or a file is missing or has another size.
        """
        vocabulary = self.indices["train"].vocabulary
        given = None if tokenizer is None else tokenizer.fit("", tuple)
        if given is not None and given.digest() != vocabulary.digest():
            raise ValueError(
                f"TokenShards: {self.folders['train']!r} was made with another tokenizer, of "
                f"{vocabulary.size} tokens; drop tokenizer, or prepare the text with the one that "
                "is wanted."
            )
        for split, index in self.indices.items():
            self._check(split, index)
        parts = {split: self._part(split) for split in self.folders}
        streams = {
            split: ShardedStream(Path(self.folders[split]), part, self.indices[split].dtype)
            for split, part in parts.items()
        }
        lengths = {
            split: sum(shard.bytes for shard in parts[split]) / max(1, len(streams[split]) - 1)
            for split in ("val", "test")
        }
        return Streams(streams, vocabulary if given is None else given, lengths)

    def _part(self, split: str) -> tuple[Shard, ...]:
        """Returns the shards that belong to a split."""
        shards = self.indices[split].shards
        if not self.held_out[split]:
            return shards
        return shards[:-1] if split == "train" else shards[-1:]

    def _check(self, split: str, index: Index) -> None:
        """Checks that all ids lie in the vocabulary, as the index has it."""
        vocabulary = self.indices["train"].vocabulary
        if index.vocabulary.digest() != vocabulary.digest():
            raise ValueError(
                f"TokenShards: {split}={self.folders[split]!r} was made with another tokenizer "
                f"than train; prepare it with that in {self.folders['train']!r}."
            )
        for shard in index.shards:
            if shard.largest >= vocabulary.size:
                raise ValueError(
                    f"TokenShards: {shard.name} of {self.folders[split]!r} holds the id "
                    f"{shard.largest}, beyond the {vocabulary.size} tokens of its tokenizer; "
                    "prepare the text again."
                )
