"""TextData: data of text, whose tokenizer travels with the checkpoints of its models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framework.data.module import PredictiveData
from framework.data.tokens.tokenizer import KnownVocabulary, Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary, restore

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions

TOKENIZER = "tokenizer"  # where a checkpoint holds it


class TextData(PredictiveData):
    """Serves text in tokens of one vocabulary, which checkpoints hold.

    A tokenizer that is fitted to the training text would be another one on other data, and the
    model would read ids that mean nothing to it.

    Args:
        tokenizer: How text becomes tokens; None leaves that to the data.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    def __init__(self, tokenizer: Tokenizer | None, **options: Unpack[DataOptions]) -> None:
        super().__init__(**options)
        self.tokenizer = tokenizer

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the texts; read text to make it only once `restore` was called."""

    @property
    def begin_token(self) -> int | None:
        """Id of the token in front of a document; None if the meaning of the ids is not known."""
        return None if isinstance(self.vocabulary, Numerals) else self.vocabulary.begin

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Ids of the tokens that end a document; none if the meaning of the ids is not known."""
        return () if isinstance(self.vocabulary, Numerals) else self.vocabulary.ends

    def encode(self, text: str) -> list[int]:
        """Converts a text to token ids."""
        return self.vocabulary.encode([text])[0]

    def begin(self, prompts: Sequence[str]) -> list[list[int]]:
        """Encodes texts as the beginnings of documents."""
        return beginnings(self.vocabulary, prompts)

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; padding of the vocabulary is left out."""
        size = self.vocabulary.size
        return self.vocabulary.decode([token for token in ids if token < size])

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes over the tokenizer of a checkpoint; see `PredictiveData.restore`.

        Raises:
            ValueError: If `tokenizer` is another one.
        """
        description = checkpoint.get(TOKENIZER)
        if description is None:
            return
        vocabulary = restore(description)
        if vocabulary is None:
            self.tokenizer = RecognizedTokenizer(description, self.tokenizer)
        elif isinstance(vocabulary, Numerals) and self.tokenizer is not None:
            return  # says for the first time what the ids mean
        else:
            if self.tokenizer is not None:
                self.tokenizer.require(vocabulary)
            self.tokenizer = KnownVocabulary(vocabulary)

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Stores the tokenizer in a checkpoint."""
        checkpoint[TOKENIZER] = self.vocabulary.describe()

    def require(self, checkpoint: Mapping[str, Any]) -> None:
        """Checks that the model was trained with the tokenizer of these data.

        Raises:
            ValueError: If it was another one.
        """
        description = checkpoint.get(TOKENIZER)
        if description is None:
            return
        stored = restore(description)
        digest = description["digest"] if stored is None else stored.digest()
        if isinstance(stored, Numerals) or digest == self.vocabulary.digest():
            return
        raise ValueError(
            f"{type(self).__name__}: the tokenizer of these data is not that of the checkpoint; "
            "call `data.restore(checkpoint)` before the model is built, or name the checkpoint by "
            "its path on the command line."
        )


class RecognizedTokenizer(Tokenizer):
    """Makes a vocabulary again, and checks that it is the one that a model was trained with.

    Args:
        description: What the checkpoint says about it: digest and size.
        tokenizer: Makes it.
    """

    def __init__(self, description: Mapping[str, Any], tokenizer: Tokenizer | None) -> None:
        self.description, self.tokenizer = description, tokenizer

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Makes the vocabulary.

        Raises:
            ValueError: If it is another one.
        """
        made = None if self.tokenizer is None else self.tokenizer.fit(digest, documents)
        if made is None or made.digest() != self.description["digest"]:
            raise ValueError(
                f"The model was trained with a tokenizer of {self.description['size']} tokens "
                "that a checkpoint cannot hold, and these data do not make it; give that one."
            )
        return made


def beginnings(vocabulary: Vocabulary, prompts: Sequence[str]) -> list[list[int]]:
    """Encodes texts as the beginnings of documents, behind the token that begins one."""
    return [[vocabulary.begin, *ids] for ids in vocabulary.encode(prompts)]
