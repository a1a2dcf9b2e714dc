"""Cost of statistics of a read-out: a pass that gathers them against one that validates.

Both read the same windows of random tokens with a model as it starts, in float32 on one thread.
What validates is what the module does with a batch of `lightning validate`: likelihood, accuracy,
and tokens outside of the vocabulary. A pass that asks for the likelihood alone, which is less than
any validation of ours does, is shown beside it. Time is processor time, so that others on the
machine matter little; contestants take turns in one process, and what counts is the ratio of their
medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.scoreboard import Figure, interleaved, report
from components import (
    Decoder,
    LayerNorm,
    Learned,
    LinearHead,
    NegativeLogLikelihood,
    TokenStem,
)
from components.data import TokenBatch, TokenSpec
from components.supports import Tokens
from framework.analysis.sample import Sample
from framework.data.module import Dataset
from framework.modules import LanguageModel
from framework.modules.weighted_means import WeightedMeans
from framework.papers.token_encoding import gather
from framework.schedules import Constant

BATCH = 64  # windows


class Size(NamedTuple):
    """A model, and what it reads."""

    vocabulary: int
    dim: int
    depth: int
    heads: int
    length: int
    windows: int
    rounds: int


SIZES = {
    "small": Size(4096, 128, 2, 4, 64, 256, 7),  # recipes/language/token_encoding/small.yaml
    "large": Size(50257, 256, 4, 4, 128, 16, 5),
}


class Windows(Dataset):
    """Windows of random tokens."""

    def __init__(self, size: Size) -> None:
        drawn = torch.randint(size.vocabulary, (size.windows, size.length + 1))
        self.batch = TokenBatch(drawn[:, :-1], drawn[:, 1:], torch.ones(drawn[:, 1:].shape))

    def __len__(self) -> int:
        return len(self.batch.tokens)

    def __getitems__(self, indices: list[int]) -> TokenBatch:
        """Returns windows as one batch."""
        return TokenBatch(*(field[indices] for field in self.batch))


def language_model(size: Size) -> LanguageModel:
    """Builds a model as it starts."""
    optimizer: Any = partial(torch.optim.AdamW, lr=0.003)
    module = LanguageModel(
        spec=TokenSpec(Tokens(size.vocabulary), size.length),
        stem=TokenStem,
        backbone=partial(
            Decoder,
            size.dim,
            size.depth,
            size.heads,
            norm=LayerNorm,
            positions=partial(Learned, length=size.length),
        ),
        head=partial(LinearHead, bias=False),
        losses={"nll": NegativeLogLikelihood},
        optimizer=optimizer,
        schedule=Constant,
    )
    module.configure_model()
    return module.eval()


@torch.no_grad()
def validate(module: LanguageModel, sample: Sample) -> None:
    """Adds up all metrics, as a validation does."""
    means = WeightedMeans()
    for _, batch in sample:
        for name, (value, weight) in module.evaluate(batch, 0).items():
            means.add(name, value, weight)
    means.means(torch.device("cpu"))


@torch.no_grad()
def score(module: LanguageModel, sample: Sample) -> None:
    """Adds up the likelihood of the targets, and nothing else."""
    sum((-module(batch).log_prob(batch.target)).sum(dtype=torch.float64) for _, batch in sample)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Makes what times a pass, after a first one that is not timed."""

    def seconds() -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    seconds()
    return seconds


def figures() -> Iterator[Figure]:
    """Measures time."""
    torch.set_num_threads(1)
    for name, size in SIZES.items():
        torch.manual_seed(0)
        module, sample = language_model(size), Sample(Windows(size), None, BATCH)
        gathering = timed(partial(gather, module, sample))
        for other, bound in ((validate, 1.3), (score, 1.5)):
            mine, theirs = interleaved(
                gathering, timed(partial(other, module, sample)), size.rounds
            )
            yield Figure(f"statistics_of_{name}_over_{other.__name__}", mine / theirs, "<=", bound)


if __name__ == "__main__":
    report(figures())
