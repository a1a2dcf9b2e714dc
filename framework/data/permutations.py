"""Permutations: the order of the examples of an epoch, as a function of seed and epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray

LISTED = 1 << 24  # examples whose order is listed: 134 MB, 3 s at the start of an epoch
EPOCH_STRIDE = 1_000_003  # a prime between neighboring seeds, so that their epochs do not coincide
ROUNDS = 8
SMALLEST = 2  # values of a half of a number: with one there would be nothing to exchange


class Permutation(ABC):
    """An order of the numbers 0 to `size` - 1, each of which it has once."""

    @abstractmethod
    def part(self, begin: int, end: int) -> list[int]:
        """Returns the numbers at places `begin` to `end` - 1 of the order."""


def permutation(size: int, seed: int, epoch: int) -> Permutation:
    """Draws the order of an epoch: listed up to `LISTED` examples, computed beyond them.

    Args:
        size: Number of examples.
        seed: Seed of the order.
        epoch: Number of the pass over the examples.
    """
    kind = Listed if size <= LISTED else Computed
    return kind(size, seed, epoch)


class Listed(Permutation):
    """A uniformly drawn order, held in memory: 8 bytes for each example.

    Args:
        size: Number of examples.
        seed: Seed of the order.
        epoch: Number of the pass over the examples.
    """

    def __init__(self, size: int, seed: int, epoch: int) -> None:
        generator = torch.Generator().manual_seed(seed * EPOCH_STRIDE + epoch)
        self.order = torch.randperm(size, generator=generator)

    def part(self, begin: int, end: int) -> list[int]:
        """Returns the numbers at places `begin` to `end` - 1 of the order."""
        numbers: list[int] = self.order[begin:end].tolist()
        return numbers


class Computed(Permutation):
    r"""A keyed bijection, computed place by place: no memory, whatever the size.

    A place is written as two digits :math:`(l, r)` of base :math:`b = \lceil\sqrt{size}\rceil`.
    Each round of a Feistel network is

    .. math:: (l, r) \leftarrow (r, (l + f_k(r)) \bmod b)

    with a hash :math:`f_k` and a key of its own; it can be undone, so that the network is a
    bijection of the :math:`b^2` places. One that leads beyond the size (one of at most
    :math:`2b + 1`) is sent through the network again until it does not. The order is a bijection
    for every size, and as good as drawn for large ones; below a hundred `Listed` is more even.

    Args:
        size: Number of examples.
        seed: Seed of the order.
        epoch: Number of the pass over the examples.

    Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002), sections 4
    and 5; the hash is the finalizer of MurmurHash3 (Appleby).
    """

    def __init__(self, size: int, seed: int, epoch: int) -> None:
        self.size, self.base = size, np.uint64(max(SMALLEST, isqrt(size - 1) + 1))
        entropy = np.random.SeedSequence((seed % 2**64, epoch))
        self.keys = entropy.generate_state(ROUNDS, np.uint64)

    def part(self, begin: int, end: int) -> list[int]:
        """Returns the numbers at places `begin` to `end` - 1 of the order."""
        numbers = self._encrypted(np.arange(begin, end, dtype=np.uint64))
        while len(beyond := np.flatnonzero(numbers >= self.size)):
            numbers[beyond] = self._encrypted(numbers[beyond])
        found: list[int] = numbers.tolist()
        return found

    def _encrypted(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = np.divmod(numbers, self.base)
        for key in self.keys:
            left, right = right, (left + _mixed(right ^ key) % self.base) % self.base
        return left * self.base + right


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes numbers: each bit of the result depends on all bits."""
    for factor in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        numbers = (numbers ^ (numbers >> np.uint64(33))) * factor
    return numbers ^ (numbers >> np.uint64(33))
