"""Writes a large text as shards of token ids, in parallel, for `TokenShards`."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from framework.console.checkpoint_options import HELP, leading
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.data.tokens.shards.index import Index, Shard
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer
from framework.preparation.inputs import parts_of
from framework.preparation.preparing import damaged, prepare
from framework.tables import table

DESCRIPTION = (
    "Writes a text as shards of token ids with an index, which `TokenShards` reads without a "
    "pass over it. `prepare INPUT... --output FOLDER`, then options; an input is a file or a "
    "pattern of text (a document a file), JSON lines (.jsonl, .json.gz) or Parquet, or a folder "
    "that `datasets` saved. The same command goes on where it was interrupted."
)


@dataclass(frozen=True)
class PrepareOptions:
    """Options of prepare.

    Args:
        output: Folder to write.
        tokenizer: How text becomes tokens; null: a byte-pair encoding of 4,096 tokens that is
            trained on the inputs. That of another folder is `FileTokenizer` with its
            `tokenizer.json`.
        column: Name of the text in JSON lines, Parquet files and data sets.
        processes: How many write at the same time; null: one for each core.
        shard_bytes: Length of the text of a shard in bytes, about. A gzipped file and a row group
            are not cut.
        check: Reads the shards of a complete folder again, and compares them with their checksums.

    Raises:
        UserError: If a number is not positive.
    """

    output: Path
    tokenizer: Tokenizer | None = None
    column: str = "text"
    processes: int | None = None
    shard_bytes: int = 1 << 28
    check: bool = False

    def __post_init__(self) -> None:
        for name in ("processes", "shard_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name} {value} is not positive; use at least 1.")


def run(words: list[str], prog: str) -> None:
    """Runs `prepare INPUT... --output FOLDER [--OPTION VALUE ...]`.

    Args:
        words: What follows `prepare` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or no input is given.
        ValueError: If an input cannot be read, or the folder holds another text.
    """
    inputs, rest = leading(words)
    parser = VerbParser(prog=f"{prog} prepare", description=DESCRIPTION)
    parser.add_class_arguments(PrepareOptions)
    values = parser.instantiate_classes(parser.parse(rest))
    options = PrepareOptions(**{f.name: values[f.name] for f in fields(PrepareOptions)})
    if options.check:
        _check(options.output)
        return
    if not inputs and not HELP & set(rest):
        raise UserError(
            "prepare needs inputs, as in `prepare 'texts/*.jsonl' --output tokens/train`."
        )
    parts = parts_of(inputs, options.column, options.shard_bytes)
    index = prepare(
        parts,
        options.tokenizer or BytePairTokenizer(),
        options.output,
        options.shard_bytes,
        options.processes or os.cpu_count() or 1,
        _report,
    )
    print(table(f"Token shards in {options.output}", _rows(index)))


def _check(folder: Path) -> None:
    wrong = damaged(folder)
    if wrong:
        raise UserError(
            f"{folder} holds {len(wrong)} damaged shards ({', '.join(wrong[:5])}); remove the "
            "folder and prepare the text again."
        )
    print(f"All shards in {folder} are as they were written.")


def _report(done: int, all: int, shard: Shard) -> None:
    print(f"{done} of {all}: {shard.name}, {shard.tokens:,} tokens", flush=True)


def _rows(index: Index) -> list[list[str]]:
    facts = {
        "shards": len(index.shards),
        "documents": index.documents,
        "tokens": index.tokens,
        "bytes of text": index.bytes,
        "vocabulary": index.vocabulary.size,
    }
    return [list(facts), [f"{value:,}" for value in facts.values()]]
