"""Counts, on the CPU, what a program on a GPU would wait for."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READ = torch.ops.aten._local_scalar_dense  # a number of a tensor, as by `item` or `bool`
MADE = torch.ops.aten.lift_fresh  # a tensor of plain numbers, which are copied to the device


class Waits(TorchDispatchMode):
    """Counts the numbers that are read from tensors, and the tensors made of plain numbers."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.counts[operation.overloadpacket] += 1
        return operation(*args, **(kwargs or {}))

    @property
    def read(self):
        return self.counts[READ]

    @property
    def made(self):
        return self.counts[MADE]
