"""Costs of FANformer, relative to the plain Transformer, and of its layer to the formula.

A step is a pass forward and backward, in float32 on two threads, of backbones without embedding
and read-out, which are the same in both. At equal parameters the feed-forward networks of
FANformer are narrower by what its FAN layers add. Both sides take turns in one process, and the
figure is the median over rounds of the ratio of their times, so that a slow machine slows both.

Kept bytes are those of the distinct storages that autograd holds for the pass backward, without
parameters, in units of the features of a FAN layer. Feed-forward networks are equally wide there,
because narrower ones would hide what is kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import linear

from benchmarks.scoreboard import Figure, report
from components import Decoder, SwiGLU
from components.interfaces import Embedded
from components.layers.fan import FanLayer

DIM, DEPTH, HEADS = 512, 6, 8
BATCH, LENGTH = 8, 256
FEATURES = BATCH * LENGTH * DIM * 4  # bytes of the features of one layer, in float32
WIDE, NARROW = 4 * DIM, 15 * DIM // 4  # SwiGLU of equal parameters, without and with FAN layers
ROUNDS, ROUNDS_OF_LAYER = 15, 101


class Transformer(nn.Module):
    """A decoder that reads states.

    Args:
        hidden: Width of its feed-forward networks.
        fan: Whether it is a FANformer.
    """

    def __init__(self, hidden: int, fan: bool) -> None:
        super().__init__()
        projection = partial(FanLayer, activation=nn.Identity) if fan else None
        feedforward = partial(SwiGLU, hidden=hidden)
        self.decoder = Decoder(DIM, DEPTH, HEADS, projection=projection, feedforward=feedforward)

    def forward(self, states: Tensor) -> Tensor:
        """Maps `[B, S, D]` to `[B, S, D]`."""
        hidden: Tensor = self.decoder(Embedded(states))
        return hidden


class Formula(FanLayer):
    """The FAN layer as its formula is written, for autograd to differentiate."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., width]`."""
        mixed = linear(hidden, self.weight, self.bias)
        phases, rest = mixed.tensor_split((self.phases,), -1)
        return torch.cat((phases.cos(), phases.sin(), self.activation(rest)), -1)


def stopwatch(module: nn.Module) -> Callable[[], float]:
    """Returns a function that times a forward and backward pass, after an untimed one."""
    states = torch.randn(BATCH, LENGTH, DIM, requires_grad=True)
    direction = torch.randn(BATCH, LENGTH, DIM)

    def seconds() -> float:
        start = time.perf_counter()
        module(states).backward(direction)
        return time.perf_counter() - start

    seconds()
    return seconds


def ratio(first: nn.Module, second: nn.Module, rounds: int) -> float:
    """Returns how long the first takes, in units of the second; the order alternates."""
    clocks = stopwatch(first), stopwatch(second)
    ratios = []
    for round_ in range(rounds):
        order = (0, 1) if round_ % 2 == 0 else (1, 0)
        times = {which: clocks[which]() for which in order}
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def kept(module: nn.Module) -> float:
    """Counts what autograd holds after a pass forward, in units of a layer's features."""
    held: dict[int, torch.UntypedStorage] = {}  # storages in use, so no two have one address

    def hold(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(hold, lambda tensor: tensor):
        module(torch.randn(BATCH, LENGTH, DIM, requires_grad=True))
    for parameter in module.parameters():
        held.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in held.values()) / FEATURES


def kept_by_layer(layer: FanLayer) -> float:
    """Counts what a FAN layer in front of a linear map holds beyond its input."""
    return kept(nn.Sequential(layer, nn.Linear(DIM, DIM, bias=False))) - 1


def parameters(module: nn.Module) -> int:
    """Counts parameters."""
    return sum(each.numel() for each in module.parameters())


def figures() -> Iterator[Figure]:
    """Measures time and memory."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    plain, fanformer = Transformer(WIDE, fan=False), Transformer(NARROW, fan=True)
    surplus = parameters(fanformer) / parameters(plain)
    yield Figure("parameters_over_plain", surplus, "<=", 1.0002)  # biases of the FAN layers
    yield Figure("step_time_over_plain", ratio(fanformer, plain, ROUNDS), "<=", 1.06)
    more = kept(Transformer(WIDE, fan=True)) - kept(plain)
    yield Figure("kept_per_layer_beyond_plain_in_features", more / DEPTH, "<=", 1)
    less = kept(fanformer) - kept(plain)
    yield Figure("the_same_at_equal_parameters", less / DEPTH, "<=", 1)
    layer = FanLayer(DIM, activation=nn.Identity)
    formula = Formula(DIM, activation=nn.Identity)
    time_over_formula = ratio(layer, formula, ROUNDS_OF_LAYER)
    yield Figure("layer_time_over_formula", time_over_formula, "<=", 1)
    yield Figure("layer_kept_in_features", kept_by_layer(layer), "<=", 1)
    yield Figure("formula_kept_in_features", kept_by_layer(formula), ">=", 1.75)


if __name__ == "__main__":
    report(figures())
