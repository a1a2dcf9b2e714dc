"""Costs of the Fourier head, relative to the linear head and to the algorithm of the authors.

A step is the mean negative log-likelihood of a batch and its gradients to weights, bias and
hidden states, in float32 on one thread. Both sides take turns in one process, and the
figure is the ratio of the medians of their processor time, which other users of the machine do
not change. Large shapes come first: after them the allocator has the pages for small blocks, as
in any training.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.profiler import ProfilerActivity, profile

from benchmarks.scoreboard import Figure, interleaved, report
from components import FourierHead, Head, LinearHead, Tokens
from components.metrics.smoothness import smoothness

Step = Callable[[], Tensor]

FORECAST = (2048, 512, 4096)  # rows, width and cells of Chronos
MOST, FEW = 550, 64  # frequencies there
POLICY = (4096, 128, 18)  # rows, width and actions of a decision transformer on Atari
POLICY_FREQUENCIES = 8
OFFICIAL_ROWS = 4  # its complex table of rows x cells x frequencies has 72 MB
DISTRIBUTIONS = 64


def step_of(head: Head, rows: int, dim: int, cells: int, compiled: bool = False) -> Step:
    """Makes a step of a head on random hidden states and targets."""
    hidden = torch.randn(rows, dim, requires_grad=True)
    target = torch.randint(cells, (rows,))

    def loss(hidden: Tensor) -> Tensor:
        nll: Tensor = -head(hidden).log_prob(target).mean()
        return nll

    objective = torch.compile(loss, fullgraph=True) if compiled else loss

    def step() -> Tensor:
        for leaf in (hidden, *head.parameters()):
            leaf.grad = None
        value: Tensor = objective(hidden)
        value.backward()  # type: ignore[no-untyped-call] # torch's
        return value

    return step


def fourier(rows: int, dim: int, cells: int, frequencies: int, compiled: bool = False) -> Step:
    """Makes a step of the Fourier head."""
    return step_of(FourierHead(dim, Tokens(cells), frequencies), rows, dim, cells, compiled)


def linear(rows: int, dim: int, cells: int, compiled: bool = False) -> Step:
    """Makes a step of the linear head with cross-entropy."""
    return step_of(LinearHead(dim, Tokens(cells)), rows, dim, cells, compiled)


def drawing(head: Head, rows: int, dim: int) -> Step:
    """Makes a step that draws a cell for each hidden state, as a forecast does."""
    hidden = torch.randn(rows, dim)

    @torch.no_grad()
    def step() -> Tensor:
        return head(hidden).sample()

    return step


def choosing(head: Head, rows: int, dim: int) -> Step:
    """Makes a step that finds the fifty most probable cells, as a forecast with `top_k` does."""
    hidden = torch.randn(rows, dim)

    @torch.no_grad()
    def step() -> Tensor:
        return head(hidden).largest(50)[0]

    return step


def official(rows: int, dim: int, cells: int, frequencies: int) -> Step:
    """Makes a step of the authors' algorithm, as dense formulas."""
    projection = torch.nn.Linear(dim, 2 * (frequencies + 1))
    hidden = torch.randn(rows, dim, requires_grad=True)
    target = torch.randint(cells, (rows,))
    k = torch.arange(1, frequencies + 1)
    centers = (2 * torch.arange(cells) + 1 - cells) / cells

    def step() -> Tensor:
        for leaf in (hidden, *projection.parameters()):
            leaf.grad = None
        a = torch.complex(*projection(hidden).chunk(2, -1))
        lagged = pad(a, (0, frequencies)).unfold(-1, frequencies + 1, 1)  # a_{j+k}: [rows, k, j]
        c = (lagged * a.conj().unsqueeze(-2)).sum(-1)
        weights = (c[:, 1:] / c[:, :1].real).unsqueeze(-2)
        waves = torch.exp(1j * math.pi * centers.unsqueeze(-1) * k)
        density = 0.5 + (weights * waves).sum(-1).real
        q = density / density.sum(-1, keepdim=True)
        loss = cross_entropy(torch.log(q.clamp_min(0) + 1e-5), target)
        loss.backward()  # type: ignore[no-untyped-call] # torch's
        return loss

    return step


def stopwatch(step: Step) -> Callable[[], float]:
    """Makes a contestant of a step, which it takes twice before it is timed."""
    for _ in range(2):
        step()

    def seconds() -> float:
        start = time.process_time()
        step()
        return time.process_time() - start

    return seconds


def ratio(first: Step, second: Step, rounds: int) -> float:
    """Returns how long the first step takes, in units of the second."""
    one, other = interleaved(stopwatch(first), stopwatch(second), rounds)
    return one / other


def peak(step: Step) -> int:
    """Counts the most bytes that a step holds above what was there before, exactly."""
    step()  # so that gradients exist before, as do parameters
    with TemporaryDirectory() as folder:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            step()
        trace = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e["name"] == "[memory]")
    held = most = 0
    for _, change in changes:
        held += change
        most = max(most, held)
    return most


def smoothness_of_distributions() -> float:
    """Returns the milliseconds that the smoothness of one distribution over many cells takes."""
    distributions = torch.rand(DISTRIBUTIONS, FORECAST[-1]).softmax(-1)
    seconds = stopwatch(lambda: smoothness(distributions))
    return 1e3 * sorted(seconds() for _ in range(5))[2] / DISTRIBUTIONS


def figures() -> Iterator[Figure]:
    """Measures time and memory of the head, and the time of the metric."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    most, few, dense = fourier(*FORECAST, MOST), fourier(*FORECAST, FEW), linear(*FORECAST)
    yield Figure("time_over_linear_550_frequencies", ratio(most, dense, 9), "<=", 0.40)
    yield Figure("time_over_linear_64_frequencies", ratio(few, dense, 9), "<=", 0.06)
    rows, dim, cells = FORECAST
    heads = FourierHead(dim, Tokens(cells), MOST), LinearHead(dim, Tokens(cells))
    for name, make, bound in (("draws", drawing, 0.60), ("fifty_cells", choosing, 1.0)):
        by_waves, by_cells = (make(head, rows, dim) for head in heads)
        found = ratio(by_waves, by_cells, 9)
        yield Figure(f"{name}_over_linear_550_frequencies", found, "<=", bound)
    yield Figure("memory_over_linear_550_frequencies", peak(most) / peak(dense), "<=", 0.40)
    authors = official(OFFICIAL_ROWS, dim, cells, MOST)
    times = rows / OFFICIAL_ROWS
    yield Figure("authors_time_over_ours_per_row", times * ratio(authors, most, 3), ">=", 50)
    yield Figure("smoothness_ms_per_distribution", smoothness_of_distributions(), "<=", 1)
    for name, compiled, bound in (("eager", False, 1.5), ("compiled", True, 1.2)):
        ours = fourier(*POLICY, POLICY_FREQUENCIES, compiled)
        theirs = linear(*POLICY, compiled)
        yield Figure(f"policy_time_over_linear_{name}", ratio(ours, theirs, 301), "<=", bound)


if __name__ == "__main__":
    report(figures())
