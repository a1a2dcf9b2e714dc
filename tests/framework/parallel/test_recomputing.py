"""Recomputed activations give the same gradients; selectively, no product is computed twice."""

from collections import Counter

import pytest
import torch
from jsonargparse import ArgumentParser
from torch.utils._python_dispatch import TorchDispatchMode

from components.backbones import Decoder
from components.interfaces import Embedded
from framework.execution import Execution
from framework.parallel.recomputing import EXPENSIVE, Checkpointed

BEFORE_THE_LAST = 5  # in a block: query, key and value, attention, out, up


class Count(TorchDispatchMode):
    """Counts operations."""

    def __init__(self):
        super().__init__()
        self.counted = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counted[func] += 1
        return func(*args, **(kwargs or {}))


def gradients(checkpoint):
    """Returns gradients, and how many expensive operations the backward pass takes."""
    torch.manual_seed(0)
    backbone = Decoder(dim=8, depth=2, heads=2)
    if checkpoint:
        for block in backbone.blocks:
            block.forward = Checkpointed(block.forward, checkpoint == "selective")
    output = backbone(Embedded(torch.randn(2, 5, 8)))
    with Count() as count:
        output.square().sum().backward()
    expensive = sum(number for name, number in count.counted.items() if name in EXPENSIVE)
    return [p.grad for p in backbone.parameters()], expensive


def test_expensive_operations_are_kept():
    (plain, few), (full, many), (selective, same) = map(gradients, (False, True, "selective"))
    assert many == few + 2 * BEFORE_THE_LAST  # the result of the last product is not needed
    assert same == few
    for one, other, third in zip(plain, full, selective, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("false", False), ("selective", "selective")]
)
def test_is_an_option(word, value):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Execution, "execution")
    assert parser.parse_args([f"--execution.checkpoint={word}"]).execution.checkpoint == value
