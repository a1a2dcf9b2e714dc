"""What myopic training costs: its attention against torch's fused one, and a whole step.

Forward and backward pass, in float32 on one thread, are measured in processor time, so that other
processes matter little. Both sides take turns in one process, and the ratio of their medians is
reported. The dense form, which holds all scores in memory, is shown beside the fused one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from benchmarks.scoreboard import Figure, interleaved, report
from components import Decoder, Myopic, ScaledDotProduct
from components.interfaces import Embedded
from components.layers.attention import AttentionFactory, KeyValue
from components.layers.masks import Mask
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.reference import diagonal_attention

SHORT, LONG = (8, 8, 256, 64), (1, 8, 1024, 64)  # batch, heads, length, width of a head
DIM, DEPTH, HEADS, BATCH, LENGTH = 512, 6, 8, 8, 256
ROUNDS, ROUNDS_OF_DENSE, ROUNDS_OF_STEPS = 41, 7, 15
CAUSAL = Mask(causal=True)

Attend = Callable[[Tensor, KeyValue, KeyValue], Tensor]


def ordinary(queries: Tensor, own: KeyValue, past: KeyValue) -> Tensor:
    """Attends with torch's fused kernel; one stream."""
    attended: Tensor = ScaledDotProduct()(queries, own, own, CAUSAL)
    return attended


def hidden(queries: Tensor, own: KeyValue, past: KeyValue) -> Tensor:
    """Separates gradients, as with constant hidden states of the past."""
    return separated_attention(queries, own, past, CAUSAL)


def keys(queries: Tensor, own: KeyValue, past: KeyValue) -> Tensor:
    """Drops the gradient of the past, as with constant keys and values."""
    return separated_attention(queries, own, constant(own), CAUSAL)


def dense_hidden(queries: Tensor, own: KeyValue, past: KeyValue) -> Tensor:
    """Does the same as `hidden` with all scores in memory."""
    return diagonal_attention(queries, own, past, CAUSAL)


def dense_keys(queries: Tensor, own: KeyValue, past: KeyValue) -> Tensor:
    """Does the same as `keys` with all scores in memory."""
    return diagonal_attention(queries, own, constant(own), CAUSAL)


def constant(own: KeyValue) -> KeyValue:
    """Detaches keys and values."""
    return KeyValue(own.keys.detach(), own.values.detach())


FUSED: dict[Literal["keys", "hidden"], Attend] = {"keys": keys, "hidden": hidden}


def attention(attend: Attend, shape: tuple[int, int, int, int]) -> Callable[[], float]:
    """Returns a timer of one pass of attention, after a warm-up."""
    drawn = [torch.randn(shape) for _ in range(3)]
    leaves = [each.clone().requires_grad_() for each in (*drawn, *drawn[1:])]
    queries, own, past = leaves[0], KeyValue(*leaves[1:3]), KeyValue(*leaves[3:])
    direction = torch.randn(shape)

    def seconds() -> float:
        start = time.thread_time()
        output = attend(queries, own, past)
        torch.autograd.grad(output, leaves, direction, allow_unused=True)
        return time.thread_time() - start

    seconds()
    return seconds


def step(operator: AttentionFactory) -> Callable[[], float]:
    """Returns a timer of one training step of a decoder, after a warm-up."""
    torch.manual_seed(0)
    decoder = Decoder(DIM, DEPTH, HEADS, attention=operator)
    optimizer = torch.optim.AdamW(decoder.parameters())
    states = torch.randn(BATCH, LENGTH, DIM, requires_grad=True)  # like those of an embedding

    def seconds() -> float:
        start = time.thread_time()
        decoder(Embedded(states)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.thread_time() - start

    seconds()
    return seconds


def ratio(clock: Callable[[], float], unit: Callable[[], float], rounds: int) -> float:
    """Returns the ratio of the median durations of two timers that take turns."""
    mine, theirs = interleaved(clock, unit, rounds)
    return mine / theirs


def figures() -> Iterator[Figure]:
    """Measures time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dense = {"dense_keys": dense_keys, "dense_hidden": dense_hidden}
    for shape, bounds in ((SHORT, (1.15, 1.20)), (LONG, (1.10, 1.10))):
        unit, name = attention(ordinary, shape), f"attention_of_{shape[2]}"
        for (variant, attend), bound in zip(FUSED.items(), bounds, strict=True):
            found = ratio(attention(attend, shape), unit, ROUNDS)
            yield Figure(f"{name}_{variant}_over_ordinary", found, "<=", bound)
        for variant, attend in dense.items():
            found = ratio(attention(attend, shape), unit, ROUNDS_OF_DENSE)
            yield Figure(f"{name}_{variant}_over_ordinary", found, ">=", 1.5)
    unit = step(ScaledDotProduct)
    for variant in FUSED:
        found = ratio(step(partial(Myopic, constant=variant)), unit, ROUNDS_OF_STEPS)
        yield Figure(f"step_{variant}_over_ordinary", found, "<=", 1.10)


if __name__ == "__main__":
    report(figures())
