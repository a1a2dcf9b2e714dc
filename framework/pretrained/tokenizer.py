"""PretrainedTokenizer: the tokenizer of a pretrained language model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from framework.data.cache import fingerprint
from framework.data.tokens.tokenizer import Tokenizer, Vocabulary
from framework.pretrained.directory import tokenizer


class PretrainedTokenizer(Tokenizer, Vocabulary):
    """The tokenizer of a pretrained language model.

    The token between documents is the one that begins a text or, if there is none, the one that
    ends it.

    Args:
        path: Directory written by `save_pretrained` of transformers, or the name of a model on the
            hub.

    Raises:
        ValueError: If transformers is missing, or there is no such tokenizer.
    """

    def __init__(self, path: str) -> None:
        self._engine = tokenizer("PretrainedTokenizer", path)
        begin, end = self._engine.bos_token_id, self._engine.eos_token_id
        if begin is None and end is None:
            raise ValueError(
                f"PretrainedTokenizer: path={path!r} has no token for the beginning or the end of "
                "a text; set bos_token in its tokenizer_config.json."
            )
        self.end = end if begin is None else begin
        self.size = len(self._engine)

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: the vocabulary is fixed."""
        return self

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encodes each text as token ids."""
        ids: list[list[int]] = self._engine(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Decodes token ids into text, without special tokens."""
        return str(
            self._engine.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def digest(self) -> str:
        """Returns a fingerprint of the vocabulary."""
        words = sorted(self._engine.get_vocab().items(), key=lambda pair: pair[1])
        return fingerprint(repr(words), str(self.end))
