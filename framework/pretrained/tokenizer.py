"""PretrainedTokenizer: the tokenizer that a pretrained language model came with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from framework.data.cache import fingerprint
from framework.data.tokens.tokenizer import Tokenizer, Vocabulary
from framework.pretrained.directory import tokenizer


class PretrainedTokenizer(Tokenizer, Vocabulary):
    """Reads text as a pretrained language model does.

    The token between documents is the one that the model has at the beginning of a text, or, where
    it has none, at the end.

    Args:
        path: Directory that `save_pretrained` of transformers wrote, or the name of a model on the
            hub.

    Raises:
        ValueError: If transformers is missing, or there is no such tokenizer.
    """

    def __init__(self, path: str) -> None:
        self._engine = tokenizer("PretrainedTokenizer", path)
        begin, end = self._engine.bos_token_id, self._engine.eos_token_id
        if begin is None and end is None:
            raise ValueError(
                f"PretrainedTokenizer: path={path!r} has no token for the begin or the end of a "
                "text; set bos_token in its tokenizer_config.json."
            )
        self.end = end if begin is None else begin
        self.size = len(self._engine)

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: the vocabulary is in the directory."""
        return self

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Writes each text as token ids."""
        ids: list[list[int]] = self._engine(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Reads token ids as text; special tokens are left out."""
        return str(
            self._engine.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def digest(self) -> str:
        """Identifies the vocabulary by its tokens."""
        words = sorted(self._engine.get_vocab().items(), key=lambda pair: pair[1])
        return fingerprint(repr(words), str(self.end))
