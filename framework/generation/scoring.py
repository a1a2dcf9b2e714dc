"""Scores files of text: nats a token, perplexity and bits a byte, each of its own bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from framework.analysis.sample import Sample
from framework.data.cache import fingerprint
from framework.data.texts import AS_THEY_ARE, JSON, json_texts, read_text
from framework.data.tokens.module import TokenWindows
from framework.data.tokens.streams import encode
from framework.generation.model import TextModel
from framework.modules.language import text_metrics


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text.

    Args:
        tokens: How many were predicted.
        bytes: Their length as text.
        nats: Their negative log-likelihood, summed.
    """

    tokens: int
    bytes: int
    nats: float

    def __add__(self, other: Score) -> Score:
        """Returns the score of both texts."""
        return Score(self.tokens + other.tokens, self.bytes + other.bytes, self.nats + other.nats)

    @property
    def metrics(self) -> dict[str, float]:
        """Mean negative log-likelihood in nats, perplexity and bits per byte."""
        nll = self.nats / self.tokens
        return {"nll": nll, **text_metrics(nll, self.bytes / self.tokens)}


class ScoredFile:
    """The documents of a file: all of its text, or those of JSON lines.

    Args:
        path: The file.
        column: Name under which an object of JSON lines has its text.
    """

    def __init__(self, path: Path, column: str = "text") -> None:
        self.path, self.column = path, column

    def documents(self, split: str) -> Iterable[str]:
        """Reads the documents."""
        if self.path.suffix in JSON:
            return json_texts(self.path, self.column)
        return [read_text(self.path)]

    def digest(self, split: str) -> str:
        """Identifies them by the content of the file."""
        return fingerprint(AS_THEY_ARE, self.column, self.path.suffix, self.path)

    def called(self, split: str) -> str:
        """Names the file."""
        return repr(str(self.path))


def score(
    model: TextModel, file: ScoredFile, batch_size: int, device: torch.device | None = None
) -> Score:
    """Scores a file in windows without overlap, as `test` does.

    What begins a document is given rather than predicted, where another token ends the one before.
    A batch is as long as its longest window, which may be the short one at the end of the text.

    Args:
        model: The model.
        file: The text.
        batch_size: Windows in a batch.
        device: Where to compute; the CPU if not given.

    Raises:
        ValueError: If the file cannot be read, or holds no text.
    """
    stream, size = encode(file, "test", model.vocabulary)
    windows = TokenWindows(stream, model.context)
    module = model.checkpoint.module.to(device or torch.device("cpu"))
    nats, tokens = torch.zeros((), dtype=torch.float64), 0
    *ends, begin = model.vocabulary.between
    for _, batch in Sample(windows, None, batch_size, device):
        length = int((batch.weight > 0).sum(1).max())
        batch = type(batch)(*(part[:, :length] for part in batch))
        with torch.no_grad():
            found = module(batch).log_prob(batch.target)
        counted = batch.weight > 0
        if ends:
            counted &= batch.target != begin
        nats -= torch.where(counted, found, 0).sum().double().cpu()
        tokens += int(counted.sum())
    return Score(tokens, size, nats.item())
