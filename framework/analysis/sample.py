"""Sample: the first examples of a split, divided among the processes, to be read repeatedly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from framework.analysis.processes import place
from framework.data.module import Dataset
from framework.data.sampling import ShardSampler


class Sample:
    """Serves examples with their numbers in the split; every example goes to one process.

    Args:
        examples: The split.
        size: How many examples to read, the first ones; all if not given, or not so many.
        batch_size: Examples in a batch of one process.
        device: Where batches are needed.

    Raises:
        ValueError: If `size` or `batch_size` is not positive, or a process is left without one.
    """

    def __init__(
        self,
        examples: Dataset,
        size: int | None = None,
        batch_size: int = 32,
        device: torch.device | None = None,
    ) -> None:
        if size is not None and size < 1:
            raise ValueError(f"Sample: size={size} holds no example; use at least 1.")
        self.examples = examples
        self.size = len(examples) if size is None else min(size, len(examples))
        self.batch_size, self.device = batch_size, device or torch.device("cpu")

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        """Yields the numbers of some examples, `[B]`, and these as a batch."""
        for numbers in ShardSampler(self.size, self.batch_size, *place()):
            batch = self.examples.__getitems__(numbers)
            yield torch.tensor(numbers), move_data_to_device(batch, self.device)
