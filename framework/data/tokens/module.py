"""Text as windows of tokens, for models that predict the next token at each position."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from components.data import PromptBatch, TokenBatch, TokenSpec
from components.supports import Tokens
from framework.data.module import Dataset
from framework.data.texts import read_prompts
from framework.data.tokens.corpora import Corpus
from framework.data.tokens.streams import Streams, TokenStream
from framework.data.tokens.text import TextData
from framework.data.tokens.tokenizer import KnownVocabulary, Tokenizer
from framework.data.tokens.vocabularies import Vocabulary

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

COUNTED = 1 << 24  # tokens that are counted at once


class TokenData(TextData):
    """Serves a corpus as packed windows of tokens, which follow each other without gap or overlap.

    A separate token stands between documents, or two where one ends and another begins them.
    Training windows are reshuffled every epoch.
    Validation windows cover every token once; the last one is padded with positions of weight 0.

    Args:
        source: Where the text comes from.
        tokenizer: How text becomes tokens; if not given, a byte-pair encoding of 4,096 tokens that
            is trained on it.
        length: Positions in a window.
        multiple: The vocabulary is padded to a multiple of this, such as 128, for fast matrix
            kernels; the tokens added never occur.
        separate_documents: Whether no position sees another document of its window, and positions
            are counted from the beginning of each: a window is then computed as its documents
            would be alone. All tokens are predicted as before: the first of a document from the
            token between documents, and that from the last of the document before it.
        prompts: File of texts to continue when predicting: one a line, or JSON lines (`.jsonl`),
            objects with a `prompt` each; if not given, the test windows.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If `length` or `multiple` is not positive, or the training text is shorter than
            one window.
    """

    def __init__(
        self,
        source: Corpus,
        tokenizer: Tokenizer | None = None,
        length: int = 256,
        multiple: int = 1,
        prompts: str | None = None,
        separate_documents: bool = False,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(tokenizer, **options)
        if length < 1:
            raise ValueError(f"TokenData: length={length} holds no token; use at least 1.")
        if multiple < 1:
            raise ValueError(f"TokenData: multiple={multiple} is not positive; use at least 1.")
        self.source = source
        self.length, self.multiple = length, multiple
        self.separate_documents = separate_documents
        self.prompts = None if prompts is None else read_prompts(prompts, "TokenData: prompts")

    @property
    def spec(self) -> TokenSpec:
        """Vocabulary, window length, and bytes per token of the validation text.

        Raises:
            ValueError: If documents cannot be kept apart.
        """
        size = -(-self.vocabulary.size // self.multiple) * self.multiple
        return TokenSpec(Tokens(size), self.length, self.bytes_per_token("val"), self._separator())

    def _separator(self) -> int | None:
        """Returns the token that begins a document, where they are kept apart."""
        if self.separate_documents and self.begin_token is None:
            raise ValueError(
                "TokenData: separate_documents needs the token between documents, which ids "
                "without a tokenizer do not name; give tokenizer, or drop separate_documents."
            )
        return self.begin_token if self.separate_documents else None

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the corpus."""
        return self._streams.vocabulary

    def bytes_per_token(self, split: str) -> float:
        """Returns the mean length in bytes of the tokens of "val" or "test" to predict."""
        return self._streams.bytes_per_token[split]

    def dataset(self, split: str) -> Dataset:
        """Returns the windows of a split; to predict, the prompts, or else the test windows."""
        if split == "predict" and self.prompts is not None:
            return Prompts(self.begin(self.prompts))
        if split == "train":
            return TokenWindows(self._streams.streams["train"], self.length, whole=True)
        stream = self._streams.streams["val" if split == "val" else "test"]
        return TokenWindows(stream, self.length)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens without the padding of the vocabulary."""
        return self.vocabulary.size

    def counts(self) -> Tensor:
        """Counts how often each token occurs in the training text, `[V]` int64."""
        ids, size = self._streams.streams["train"].ids, self.spec.support.size
        counts = np.zeros(size, np.int64)
        for start in range(0, len(ids), COUNTED):
            counts += np.bincount(ids[start : start + COUNTED], minlength=size)
        return torch.from_numpy(counts)

    def elsewhere(self, source: Corpus) -> TokenData:
        """Returns data of another corpus in the same vocabulary, with the same options.

        Args:
            source: Where the text comes from.
        """
        known = KnownVocabulary(self.vocabulary)
        return TokenData(
            source,
            known,
            self.length,
            self.multiple,
            separate_documents=self.separate_documents,
            batch_size=self.batch_size,
            eval_batch_size=self.eval_batch_size,
            num_workers=self.num_workers,
            seed=self.seed,
        )

    @cached_property
    def _streams(self) -> Streams:
        return self.source.streams(self.tokenizer)


class Prompts(Dataset):
    """Texts to continue.

    Args:
        rows: Tokens of each.
    """

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> PromptBatch:
        """Returns prompts `[B, S]`, which have no answer."""
        rows = [torch.tensor(self.rows[index]) for index in indices]
        tokens = pad_sequence(rows, batch_first=True, padding_side="left")
        lengths = torch.tensor([[len(row)] for row in rows])
        mask = torch.arange(tokens.shape[1]) >= tokens.shape[1] - lengths
        nothing = torch.zeros(len(rows), 1)
        return PromptBatch(tokens, mask, target=nothing, weight=nothing)


class TokenWindows(Dataset):
    """Windows of a stream, one after the other.

    Args:
        stream: Token ids.
        length: Positions in a window.
        whole: Leave out the remainder that does not fill a window, rather than pad it with
            positions of weight 0.

    Raises:
        ValueError: If there is no window.
    """

    def __init__(self, stream: TokenStream, length: int, whole: bool = False) -> None:
        self.stream, self.length = stream, length
        predicted = len(stream) - 1
        self.size = predicted // length if whole else -(-predicted // length)
        if self.size < 1:
            raise ValueError(
                f"TokenData: the text holds {predicted} tokens to predict, fewer than one window; "
                f"give more text or a smaller length={length}."
            )

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, indices: list[int]) -> TokenBatch:
        """Returns windows `[B, length]`; the target is the next token."""
        tokens = np.zeros((len(indices), self.length), np.int64)
        target, weight = np.zeros_like(tokens), np.zeros(tokens.shape, np.float32)
        for row, index in enumerate(indices):
            start = index * self.length
            window = self.stream.ids[start : start + self.length + 1]
            tokens[row, : len(window) - 1] = window[:-1]
            target[row, : len(window) - 1] = window[1:]
            weight[row, : len(window) - 1] = 1
        return TokenBatch(*map(torch.from_numpy, (tokens, target, weight)))
