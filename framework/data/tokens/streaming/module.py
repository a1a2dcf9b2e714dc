"""StreamedTokenData: windows of a text that is read while the model trains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from components.data import Batch
from framework.data.cache import fingerprint
from framework.data.epochs import divide, rewind
from framework.data.tokens.module import TokenData
from framework.data.tokens.streaming.batches import Division, StreamedBatches
from framework.data.tokens.streaming.readers import Bookmark, Reader
from framework.data.tokens.streaming.source import StreamedText
from framework.data.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class StreamedTokenData(TokenData):
    """Serves packed windows of a text that is read from the hub, or from files, as it is needed.

    A fixed number of readers share the files; each begins its own again when they are read, so
    that none ends before the others however uneven they are. Batches are a function of seed and
    step: they are the same for any number of processes and workers, and a resumed run continues
    where it was. Checkpoints hold how far each reader is, so that a run resumes without reading
    again what it has read; without that, it reads from the beginning, to the same batches.

    Args:
        source: Where the text comes from.
        tokenizer: How text becomes tokens; if not given, a byte-pair encoding of 4,096 tokens that
            is trained on the first documents.
        length: Positions in a window.
        readers: Readers that share the files: a multiple of the number of processes times
            `num_workers`, at most the number of files. Another number gives another order.
        block: Windows that each reader shuffles together.
        multiple: The vocabulary is padded to a multiple of this, as in `TokenData`.
        prompts: File of texts to continue when predicting, as in `TokenData`.
        separate_documents: Whether no position sees another document, as in `TokenData`.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If a number is not positive; when training starts, if there are fewer files
            than readers, or these cannot be divided among the processes and workers.
    """

    def __init__(
        self,
        source: StreamedText,
        tokenizer: Tokenizer | None = None,
        length: int = 256,
        readers: int = 1,
        block: int = 256,
        multiple: int = 1,
        prompts: str | None = None,
        separate_documents: bool = False,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(
            source, tokenizer, length, multiple, prompts, separate_documents, **options
        )
        for name, value in {"readers": readers, "block": block}.items():
            if value < 1:
                raise ValueError(
                    f"StreamedTokenData: {name}={value} is not positive; use at least 1."
                )
        self.source: StreamedText = source
        self.readers, self.block = readers, block
        self._batches: StreamedBatches | None = None
        self._bookmarks: dict[int, Bookmark] = {}

    def train_dataloader(self) -> DataLoader[Batch]:
        """Makes the training batches, which begin at the trainer's step.

        Raises:
            ValueError: If there are fewer files than readers, or these cannot be divided.
        """
        division = Division(self.readers, self.batch_size, *self._place())
        self._check(division)
        reader = partial(
            Reader,
            self.source,
            self.vocabulary,
            self.length,
            self.block,
            self.seed,
            readers=self.readers,
        )
        self._batches = StreamedBatches(
            _Numbered(reader),
            division,
            self.num_workers,
            self._step,
            self._bookmarks,
            pinned=self._on_gpu(),
        )
        batches: Any = self._batches  # an iterable, which Lightning takes for a loader too
        if self.trainer is not None:
            rewind(self.trainer)
            batches = divide(batches, self.trainer)
        loader: DataLoader[Batch] = batches
        return loader

    def batches_of_pass(self) -> int | None:
        """Returns None: a stream has no end."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Returns how far each reader is, of all processes: each calls this.

        Where one saves alone, as after an error, it is that of its own readers; the others then
        read from the beginning, to the same batches.
        """
        if self._batches is None:
            return {}
        found = {
            reader: self._batches.mark(reader, self._step()) for reader in range(self.readers)
        }
        mine = {reader: mark.plain() for reader, mark in found.items() if mark is not None}
        marks = [mine]
        if self.trainer is not None and self._batches.division.world > 1:
            # By the strategy, which knows when nobody else takes part.
            strategy, world = self.trainer.strategy, self.trainer.world_size
            marks = [strategy.broadcast(mine, source) for source in range(world)]
        known = [(str(reader), mark) for part in marks for reader, mark in part.items()]
        known.sort(key=lambda pair: pair[1]["windows"])  # others have old ones, of a checkpoint
        return {"text": self._identity(), "bookmarks": dict(known)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over how far each reader was, if this is the same text, read in the same way."""
        if state_dict.get("text") == self._identity():
            marks = state_dict["bookmarks"].items()
            self._bookmarks = {int(reader): Bookmark(**mark) for reader, mark in marks}

    def _identity(self) -> str:
        options = f"{self.readers} {self.length} {self.block}"
        return fingerprint(options, self.source.digest("train"), self.vocabulary.digest())

    def _check(self, division: Division) -> None:
        world, workers = division.world, max(1, self.num_workers)
        if self.batch_size < 1 or self.batch_size % world:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be shared equally by {world} processes; "
                f"it counts the examples of all of them, use a positive multiple of {world}."
            )
        if self.readers % (world * workers):
            raise ValueError(
                f"StreamedTokenData: readers={self.readers} cannot be divided among {world} "
                f"processes with num_workers={self.num_workers}; use a multiple of "
                f"{world * workers}."
            )
        if self.source.shards() < self.readers:
            raise ValueError(
                f"StreamedTokenData: the training split has {self.source.shards()} files, fewer "
                f"than readers={self.readers}; use at most as many."
            )


class _Numbered:
    """Makes readers by their number alone; an object, so that workers can be sent it.

    Args:
        make: Makes one, given `number`.
    """

    def __init__(self, make: partial[Reader]) -> None:
        self.make = make

    def __call__(self, number: int) -> Reader:
        return self.make(number=number)
