"""Data that are drawn, not stored: every example is a function of a seed and its number."""

from __future__ import annotations

import numpy as np

from framework.data.module import Examples, PredictiveData
from framework.data.sampling import ENDLESS, EndlessSampler

SPLITS = ("train", "val", "test")  # whose numbers keep their draws apart


class EndlessData(PredictiveData):
    """Serves training examples without end, of which none comes twice.

    Batch k holds the next examples after batch k - 1, whichever processes share them.
    """

    def _order(self, dataset: Examples) -> EndlessSampler:
        return EndlessSampler(self.batch_size, *self._place(), self._step)


class Draws(Examples):
    """Examples that are the same every time they are asked for, by any process.

    Those to train on are different ones for every seed, those to evaluate on the same ones.

    Args:
        split: The split; examples to predict are those to test on.
        seed: Seed of the training examples.
        size: Number of examples to evaluate on; those to train on have no end.
    """

    def __init__(self, split: str, seed: int, size: int) -> None:
        part = SPLITS.index("test" if split == "predict" else split)
        self.size = size if part else ENDLESS
        self.seed = (part, 0 if part else seed % 2**63)

    def __len__(self) -> int:
        return self.size

    def generators(self, indices: list[int]) -> list[np.random.Generator]:
        """Returns what draws each of some examples."""
        return [np.random.default_rng((*self.seed, index)) for index in indices]
