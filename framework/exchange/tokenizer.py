"""Reads the tokenizer that lies beside a published model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framework.data.tokens.tokenizer import END, FileTokenizer
from framework.exchange.files import parse

FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"
BEGINNINGS = ("bos_token", "eos_token")  # what stands between documents: the first there is


def describe_tokenizer(folder: Path, size: int) -> dict[str, Any] | None:
    """Describes the tokenizer of a published model, as checkpoints hold it; None without one.

    Args:
        folder: The directory, with a `tokenizer.json`.
        size: Number of tokens of the model.

    Raises:
        ValueError: If it cannot be read, does not say what stands between documents, or has more
            tokens than the model.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    tokenizer = FileTokenizer(str(path), _end(folder))
    if tokenizer.size > size:
        raise ValueError(
            f"{path} has {tokenizer.size} tokens, more than the {size} of the model; take it away "
            "to import the model without a tokenizer."
        )
    return tokenizer.describe()


def _end(folder: Path) -> str:
    """Returns the name of the token between documents: it begins a text, or else ends one."""
    path = folder / CONFIG
    options = parse(path, path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in BEGINNINGS:
        match options.get(name):
            case str(token) | {"content": str(token)}:
                return token
    return END
