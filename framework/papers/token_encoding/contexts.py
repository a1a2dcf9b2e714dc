"""Contexts: a sample of the vectors that a read-out reads, on which edits are computed exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from framework.analysis.processes import place, total
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.token_statistics import CHUNK, normalize

# 2^64 over the golden ratio, as int64: its multiples are spread evenly (Knuth, vol. 3, 6.4)
SCRAMBLE = 0x9E3779B97F4A7C15 - (1 << 64)
ABSENT = torch.iinfo(torch.int64).max  # the rank of a context that is not there


@dataclass(frozen=True, eq=False)
class Contexts:
    """N contexts, on the CPU.

    Args:
        hidden: What the read-out reads, `[N, D]` float32.
        target: The tokens that came, `[N]`.
    """

    hidden: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.hidden)

    def log_probs(self, readout: Readout, tokens: Tensor) -> Tensor:
        """Returns log P(w|x) of some tokens `[W]` in every context, `[N, W]` float64.

        Args:
            readout: The read-out of the model.
            tokens: Their ids.
        """
        own = self.hidden.double() @ readout.weight[tokens].double().T
        if readout.bias is not None:
            own += readout.bias[tokens].double()
        return own - self.log_normalizer(readout)[:, None]

    def log_normalizer(self, readout: Readout, chunk: int = CHUNK) -> Tensor:
        """Returns log Z, `[N]` float64, of float32 logits, `chunk` of which are held at once."""
        parts = torch.split(self.hidden, max(1, chunk // len(readout.weight)))
        return torch.cat([normalize(readout.logits(part))[1] for part in parts])


class ContextSample:
    """Keeps a sample of contexts that does not depend on batches or processes.

    Every context has a number; those whose scrambled numbers are smallest are kept. Numbers are
    multiplied by an odd one modulo 2^64, so that different ones stay different.

    Args:
        size: How many to keep, at least 1.

    Raises:
        ValueError: If `size` is not positive.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"ContextSample: size={size} keeps no context; use at least 1.")
        self.size = size
        self._limit = ABSENT  # contexts of this rank and above are too many already
        self._parts: list[tuple[Tensor, ...]] = []  # ranks [n], hidden [n, D] and target [n]
        self._device = torch.device("cpu")

    def add(self, numbers: Tensor, hidden: Tensor, target: Tensor) -> None:
        """Adds contexts.

        Args:
            numbers: Of the contexts among all, `[N]`; each one occurs once.
            hidden: What the read-out reads, `[N, D]`.
            target: The tokens that came, `[N]`.
        """
        ranks, self._device = numbers * SCRAMBLE, hidden.device
        near = ranks < self._limit
        added = (ranks[near], hidden.detach()[near].float(), target[near])
        self._parts.append(tuple(field.cpu() for field in added))
        if sum(len(part[0]) for part in self._parts) > 2 * self.size:
            self._parts = [self._lowest()]
            self._limit = int(self._parts[0][0][-1])

    def gather(self) -> Contexts:
        """Returns the sample of all processes, the same in each.

        Raises:
            ValueError: If nothing was added.
        """
        nothing = "ContextSample got no context; give data whose positions count."
        if not self._parts:
            raise ValueError(nothing)
        own, hidden, target = (field.to(self._device) for field in self._lowest())
        rank, world = place()
        table = own.new_zeros(world, self.size)
        table[rank] = torch.cat((own, own.new_full((self.size - len(own),), ABSENT)))
        every = total(table).flatten().sort().values[: self.size]
        every = every[every != ABSENT]
        if not len(every):
            raise ValueError(nothing)
        mine = own <= every[-1]
        places = torch.searchsorted(every, own[mine])
        rows = [field.new_zeros(len(every), *field.shape[1:]) for field in (hidden, target)]
        for whole, field in zip(rows, (hidden, target), strict=True):
            whole[places] = field[mine]
        return Contexts(*(total(whole).cpu() for whole in rows))

    def _lowest(self) -> tuple[Tensor, ...]:
        """Returns what is kept of all that was added, in the order of ranks."""
        ranks, *rows = (torch.cat(fields) for fields in zip(*self._parts, strict=True))
        lowest = ranks.argsort()[: self.size]
        return tuple(field[lowest] for field in (ranks, *rows))
