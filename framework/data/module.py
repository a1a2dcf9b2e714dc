"""The data module that all kinds of data share: batch sizes, and loaders that resume exactly."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils import data as torch_data
from torch.utils.data import DataLoader, Sampler

from components.data import Batch, Spec
from framework.data import sketch
from framework.data.baselines import NONE, Baselines
from framework.data.epochs import divide, rewind
from framework.data.place import place_of
from framework.data.sampling import ENDLESS, EndlessSampler, ShardSampler, StepSampler

SPLITS = ("train", "val", "test")  # the number of a split is part of the seed of its draws

if TYPE_CHECKING:  # not at run time: the command line would lose the defaults
    from typing import TypedDict

    class DataOptions(TypedDict, total=False):
        """Options of `PredictiveData`, for data modules that pass them on."""

        batch_size: int
        eval_batch_size: int | None
        num_workers: int
        seed: int


class Dataset(torch_data.Dataset[Any], ABC):
    """Examples of a split, fetched a batch at a time.

    A worker gets a copy of this object: it holds memory-mapped or shared arrays only.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of examples."""

    @abstractmethod
    def __getitems__(self, indices: list[int]) -> Any:
        """Returns examples as one batch, in the order of the indices."""

    def identify(self, index: int) -> dict[str, Any]:
        """Identifies an example in the row of its prediction, as `id`: here by its number."""
        return {"id": index}


class InMemory(Dataset):
    """Examples of a split, held in memory that workers share.

    Args:
        batch: All of them, a NamedTuple of tensors with an example in each row.
    """

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch.target)

    def __getitems__(self, indices: list[int]) -> Any:
        """Returns examples as one batch."""
        return type(self.batch)(*(field[indices] for field in self.batch))


class PredictiveData(LightningDataModule, ABC):
    """Serves batches of one kind of data, and publishes what they hold as `spec`.

    Training batches are a function of seed, step, rank and world size: a resumed run continues
    where the checkpoint was written, with any number of workers, without any state of a loader.
    Evaluation visits every example once.

    Args:
        batch_size: Examples in one (micro-)batch over all processes together.
        eval_batch_size: Examples in one evaluation batch of one process; as many as in training if
            not given.
        num_workers: Processes per training process that prepare batches; 0 prepares them in the
            training process itself.
        seed: Seed of the order of the training examples.

    Raises:
        ValueError: If `num_workers` is negative.
    """

    def __init__(
        self,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_workers < 0:
            raise ValueError(
                f"{type(self).__name__}: num_workers={num_workers} is negative; "
                "use 0 to prepare batches in the training process."
            )
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self._sketches: dict[str, dict[str, Any]] = {}
        self._served: dict[str, Dataset] = {}  # by split, so that no sketch prepares them again

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """Facts of the data; data are prepared and cached when it is first read."""

    @abstractmethod
    def dataset(self, split: str) -> Dataset:
        """Returns the examples of "train", "val", "test" or "predict"."""

    def sketch(self, split: str) -> Mapping[str, Any]:
        """Returns a few numbers, as plain data, by which other examples of a split are recognized.

        Args:
            split: "train" or "val".
        """
        if split not in self._sketches:
            self._sketches[split] = sketch.draw(self._served.get(split) or self.dataset(split))
        return self._sketches[split]

    def baselines(self, split: str, batches: Sequence[float], metrics: Set[str]) -> Baselines:
        """Scores simple predictions, to show beside those of a model; none here.

        Args:
            split: "val" or "test".
            batches: Batches of each loader of the split that every process evaluated.
            metrics: What was reported of the model; other scores need not be computed.
        """
        return NONE

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Adds to a checkpoint, as plain data, what its model needs to read other data."""

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes over from a checkpoint what its model needs to read these data; here nothing.

        It is called before `spec` is first read.

        Args:
            checkpoint: What the checkpoint holds.

        Raises:
            ValueError: If the data cannot be served to that model.
        """

    def require(self, checkpoint: Mapping[str, Any]) -> None:
        """Checks that the model of a checkpoint can read these data as they are.

        Raises:
            ValueError: If it cannot.
        """

    def train_dataloader(self) -> DataLoader[Batch]:
        """Makes the loader of training batches, which begins at the trainer's step.

        It has no end, unless an option of the trainer counts epochs.
        """
        dataset = self._served["train"] = self.dataset("train")
        order = self._order(dataset)
        if self.trainer is None:
            return self._loader(dataset, order)
        rewind(self.trainer)
        return self._loader(dataset, divide(order, self.trainer))

    def batches_of_pass(self) -> int | None:
        """Counts the batches of one pass over the training examples; None if they have no end."""
        return self._order(self.dataset("train")).length

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Makes the loader of the validation examples of this process."""
        return self._evaluation(self.dataset("val"))

    def test_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Makes the loader of the test examples of this process."""
        return self._evaluation(self.dataset("test"))

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Makes the loader of the examples of this process to predict."""
        # Lightning expects `drop_last` of unknown samplers; ours drops nothing.
        warnings.filterwarnings("ignore", "You are using a custom batch sampler `ShardSampler`")
        return self._evaluation(self.dataset("predict"))

    def _order(self, dataset: Dataset) -> StepSampler | EndlessSampler:
        """Returns the order of the training examples, from the trainer's step on."""
        rank, world = self._place()
        return StepSampler(len(dataset), self.batch_size, self.seed, rank, world, self._step)

    def _evaluation(self, dataset: Dataset) -> DataLoader[Batch]:
        return self._loader(dataset, self._shard(dataset))

    def _shard(self, dataset: Dataset) -> ShardSampler:
        rank, world = self._place()
        batch_size = self.eval_batch_size
        if batch_size is None:
            batch_size = max(1, self.batch_size // world)
        return ShardSampler(len(dataset), batch_size, rank, world)

    def _evaluated(self, dataset: Dataset, batches: float) -> int:
        """Counts the examples, the first ones, in so many batches of every process."""
        steps = len(self._shard(dataset))
        return len(dataset) * int(min(batches, steps)) // steps

    def _loader(
        self,
        dataset: torch_data.Dataset[Any],
        sampler: Sampler[list[int]],
    ) -> DataLoader[Batch]:
        # Lightning 2.6 warns of its own code whenever it is given a loader.
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=_identity,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self._on_gpu(),
        )

    def _on_gpu(self) -> bool:
        """Returns whether batches go to a GPU: it copies those in pinned memory while it works."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _place(self) -> tuple[int, int]:
        """Returns rank and world size among the processes that read different data."""
        if self.trainer is None:
            return 0, 1
        place = place_of(self.trainer)
        if place[1] == 1:
            return 0, 1
        if self.trainer._accelerator_connector.use_distributed_sampler:
            raise ValueError(
                f"{type(self).__name__} divides its batches among the processes itself; "
                "set trainer.use_distributed_sampler to false."
            )
        return place

    def _step(self) -> int:
        """Returns the number of micro-batches that the optimizer has used so far."""
        if self.trainer is None:
            return 0
        return self.trainer.global_step * self.trainer.accumulate_grad_batches


def _identity(batch: Any) -> Any:
    return batch


class EndlessData(PredictiveData):
    """Serves an endless stream of training examples, none of them twice.

    Batch k holds the next examples after batch k - 1, for any number of processes.
    """

    def _order(self, dataset: Dataset) -> EndlessSampler:
        return EndlessSampler(self.batch_size, *self._place(), self._step)


class DrawnDataset(Dataset):
    """Examples drawn on demand, each a function of its number and the seed, on any process.

    Training examples differ between seeds; evaluation examples are the same for every seed.

    Args:
        split: "train", "val", "test" or "predict"; examples to predict are those to test on.
        seed: Seed of the training examples.
        size: Number of evaluation examples; there is no end of training examples.
    """

    def __init__(self, split: str, seed: int, size: int) -> None:
        part = SPLITS.index("test" if split == "predict" else split)
        self.size = size if part else ENDLESS
        self.seed = (part, 0 if part else seed % 2**63)

    def __len__(self) -> int:
        return self.size

    def generators(self, indices: list[int]) -> list[np.random.Generator]:
        """Returns the random generator of each example."""
        return [np.random.default_rng((*self.seed, index)) for index in indices]
