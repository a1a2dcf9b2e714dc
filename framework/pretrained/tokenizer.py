"""PretrainedTokenizer: the tokenizer of a pretrained language model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer as Engine

from framework.data.cache import fingerprint
from framework.data.tokens.tokenizer import Tokenizer
from framework.data.tokens.vocabularies import JsonVocabulary, Vocabulary
from framework.pretrained.directory import tokenizer


class PretrainedTokenizer(Tokenizer):
    """The tokenizer of a pretrained language model.

    Documents begin with the token that begins a text and end with the one that ends it; where
    there is only one of the two, it stands between documents.

    Args:
        path: Directory written by `save_pretrained` of transformers, or the name of a model on the
            hub.

    Raises:
        ValueError: If transformers is missing, or there is no such tokenizer.
    """

    def __init__(self, path: str) -> None:
        engine = tokenizer("PretrainedTokenizer", path)
        begin = engine.eos_token if engine.bos_token is None else engine.bos_token
        end = begin if engine.eos_token is None else engine.eos_token
        if end is None:
            raise ValueError(
                f"PretrainedTokenizer: path={path!r} has no token for the beginning or the end of "
                "a text; set bos_token in its tokenizer_config.json."
            )
        self.vocabulary: Vocabulary = (
            JsonVocabulary(
                Engine.from_str(engine.backend_tokenizer.to_str()), str(end), begin=str(begin)
            )
            if engine.is_fast
            else PythonVocabulary(engine, str(end), str(begin))
        )

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns the vocabulary, which is fixed."""
        return self.vocabulary

    def known(self) -> Vocabulary:
        """Returns the vocabulary."""
        return self.vocabulary


class PythonVocabulary(Vocabulary):
    """The vocabulary of a tokenizer of transformers that is written in Python.

    Args:
        engine: The tokenizer.
        end: Name of the token that ends a document.
        begin: Name of the token that begins one.
    """

    def __init__(self, engine: Any, end: str, begin: str) -> None:
        self._engine = engine
        self.end: int = engine.convert_tokens_to_ids(end)
        self._begin: int = engine.convert_tokens_to_ids(begin)
        self.size = len(engine)

    @property
    def begin(self) -> int:
        """Id of the token in front of each document."""
        return self._begin

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encodes each text as token ids."""
        options = {"add_special_tokens": False, "split_special_tokens": True}
        ids: list[list[int]] = self._engine(list(texts), **options)["input_ids"]
        return ids

    def encode_as_published(self, texts: Sequence[str], around: bool = True) -> list[list[int]]:
        """Encodes each text with the special tokens around it and in it."""
        ids: list[list[int]] = self._engine(list(texts), add_special_tokens=around)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Decodes token ids into text, without special tokens."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return str(self._engine.decode(list(ids), **options))

    def digest(self) -> str:
        """Returns a fingerprint of the vocabulary."""
        words = sorted(self._engine.get_vocab().items(), key=lambda pair: pair[1])
        between = map(str, self.between[::-1])
        return fingerprint("special tokens are text", repr(words), *between)
