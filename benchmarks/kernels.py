"""What tokens, norms, rotations and large vocabularies cost, relative to their formulas.

Both sides take turns in one process on one thread; a figure is the median over rounds of the ratio
of their processor times. Memory is the most that a process of its own gets beyond its start, in
units of the logits in float32.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import resource
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import rms_norm

from benchmarks.scoreboard import Figure, report
from components import LinearHead
from components.layers.norms import RMSNorm
from components.layers.positions import Rotary
from components.layouts import lay_out_by_columns
from components.supports import Tokens
from framework.evaluation.generation import Sampling

BATCH, VOCABULARY = 16, 50_257
EXAMPLES, LENGTH, HEADS, WIDTH = 8, 256, 8, 32
POSITIONS = 1024  # whose tokens are predicted from DIM numbers each
DIM = HEADS * WIDTH
ROUNDS = 9
MIB = 2**20


def ratio(first: Callable[[], object], second: Callable[[], object], rounds: int) -> float:
    """Returns the processor time of the first in units of the second; the order alternates."""
    first(), second()
    ratios = []
    for round_ in range(rounds):
        times = {}
        for which in (0, 1) if round_ % 2 == 0 else (1, 0):
            start = time.process_time()
            (first, second)[which]()
            times[which] = time.process_time() - start
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def draws(**options: float) -> float:
    """Compares draws with those from all tokens in order of their logits."""
    sampling = Sampling(**options)  # type: ignore[arg-type]  # by name
    logits = 3 * torch.randn(BATCH, VOCABULARY)

    def ordered() -> Tensor:
        scaled, order = (logits / (sampling.temperature or 1)).sort(-1, descending=True)
        if sampling.top_k is not None:
            scaled[:, sampling.top_k :] = -torch.inf
        return order.gather(1, torch.multinomial(scaled.softmax(-1), 1))

    def ours() -> Tensor:
        return sampling.choose(logits, torch.rand(BATCH, dtype=torch.float64))

    return ratio(ours, ordered, ROUNDS)


def passes(ours: Callable[[Tensor], Tensor], formula: Callable[[Tensor], Tensor]) -> float:
    """Compares passes forward and backward of states."""
    states = torch.randn(EXAMPLES, LENGTH, HEADS, WIDTH, requires_grad=True)
    direction = torch.randn(EXAMPLES, LENGTH, DIM)

    def run(layer: Callable[[Tensor], Tensor]) -> None:
        torch.autograd.backward(layer(states).reshape(direction.shape), direction)

    return ratio(lambda: run(ours), lambda: run(formula), 3 * ROUNDS)


def norms() -> float:
    """Compares the RMS norm with that of torch."""
    layer = RMSNorm(DIM)
    return passes(
        lambda x: layer(x.flatten(2)),
        lambda x: rms_norm(x.flatten(2), (DIM,), layer.weight, layer.eps),
    )


def rotations() -> float:
    """Compares rotations with the formula of halves."""
    positions = Rotary(DIM, HEADS, WIDTH)
    table = positions.prepare(torch.arange(LENGTH)[None], torch.float32)
    cos, sin = table[:, :, None, :, WIDTH // 2 :]

    def formula(states: Tensor) -> Tensor:
        first, second = states.transpose(1, 2).chunk(2, -1)
        turned = torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
        return turned.transpose(1, 2)

    return passes(
        lambda x: positions.rotate(x.transpose(1, 2), x.transpose(1, 2)[:, :0], table)[
            0
        ].transpose(1, 2),
        formula,
    )


def likelihood(chunked: bool) -> Callable[[], None]:
    """Returns a pass forward and backward of the likelihood of a large vocabulary."""
    head = LinearHead(DIM, Tokens(VOCABULARY), bias=False, chunked=chunked)
    hidden = torch.randn(POSITIONS, DIM, requires_grad=True)
    target = torch.randint(VOCABULARY, (POSITIONS,))

    def run() -> None:
        head(hidden).log_prob(target).sum().backward()
        head.zero_grad()

    return run


def peak(chunked: bool) -> float:
    """Measures the memory of that, in a process of its own, in units of the logits."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_peak, args=(chunked, sender))
    process.start()
    found: float = receiver.recv()
    process.join()
    return found


def send_peak(chunked: bool, sender: multiprocessing.connection.Connection) -> None:
    """Measures memory in this process."""
    torch.set_num_threads(1)
    run = likelihood(chunked)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sender.send(more / (POSITIONS * VOCABULARY * 4 / MIB))


def logits_of_one() -> float:
    """Compares logits of one position, read column by column, with those of rows."""
    heads = [LinearHead(DIM, Tokens(VOCABULARY), bias=False) for _ in range(2)]
    lay_out_by_columns(heads[0], examples=1)
    hidden = torch.randn(1, DIM)
    with torch.inference_mode():
        return ratio(lambda: heads[0].logits(hidden), lambda: heads[1].logits(hidden), 5 * ROUNDS)


def figures() -> Iterator[Figure]:
    """Measures time and memory."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield Figure("greedy_over_ordered_draw", draws(temperature=0.0), "<=", 0.1)
    yield Figure("top_k_over_ordered_draw", draws(top_k=50), "<=", 0.15)
    yield Figure("plain_over_ordered_draw", draws(), "<=", 0.4)
    yield Figure("logits_by_columns_over_rows", logits_of_one(), "<=", 0.7)
    yield Figure("norm_over_torch", norms(), "<=", 0.7)
    yield Figure("rotation_over_formula", rotations(), "<=", 0.7)
    yield Figure("logits_held", peak(chunked=False), ">=", 2)
    yield Figure("logits_held_in_chunks", peak(chunked=True), "<=", 1)
    yield Figure(
        "time_of_chunks_over_whole",
        ratio(likelihood(chunked=True), likelihood(chunked=False), 3),
        "<=",
        1.6,
    )


if __name__ == "__main__":
    report(figures())
