"""Forecasts series by sampling paths, and averages their scores over data sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.data import CovariateBatch, SeriesBatch
from components.distributions import Categorical, Histogram
from components.distributions.tensors import gather
from components.interfaces import Backbone, Cache, Embedded, Head, Stem
from framework.evaluation.horizons import sample_horizons
from framework.evaluation.randomness import seeded


@dataclass(frozen=True)
class Paths:
    """How many futures are drawn for each series, and how.

    Args:
        samples: Futures per series, at least 1; quantiles are those of the samples.
        at_once: Futures per series that are drawn together, at least 1; fewer need less memory.
        in_validation: Draw them in validation too, not only in tests; forecasts then take most of
            the time of a validation.
        seed: Seed of the draws.
        temperature: Log-probabilities of cells are divided by it: below 1 is more cautious, above
            1 more random. Values other than 1 require a distribution over cells.
        top_k: Draw from this many of the most likely cells; from all if not given. Chronos uses
            50.

    Raises:
        ValueError: If nothing would be drawn.
    """

    samples: int = 100
    at_once: int = 10
    in_validation: bool = False
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None

    def __post_init__(self) -> None:
        if self.samples < 1 or self.at_once < 1:
            raise ValueError(
                f"Paths draws nothing with samples={self.samples}, at_once={self.at_once}; "
                "use at least 1 of each."
            )
        if not self.temperature > 0 or (self.top_k is not None and self.top_k < 1):
            raise ValueError(
                f"Paths cannot draw with temperature={self.temperature}, top_k={self.top_k}; "
                "use a positive temperature and at least 1 cell."
            )

    def refuse_choice(self, stem: str) -> None:
        """Checks that paths are drawn from the distributions as they are predicted.

        Raises:
            ValueError: If cells are to be chosen, which paths of a whole horizon do not do.
        """
        if self.temperature != 1 or self.top_k is not None:
            raise ValueError(
                f"Paths: temperature={self.temperature}, top_k={self.top_k} choose among cells "
                f"step by step, but {stem} predicts all steps at once; drop them."
            )

    def draw(self, distribution: Distribution, count: int) -> Tensor:
        """Draws scaled values `[count, B]` from distributions of batch shape `[B]`.

        Raises:
            ValueError: If cells are to be chosen and the distribution has none.
        """
        if self.temperature == 1 and self.top_k is None:
            return distribution.sample(torch.Size([count]))
        if not isinstance(distribution, Histogram):
            raise ValueError(
                f"Paths: temperature={self.temperature}, top_k={self.top_k} choose among cells, "
                f"but {type(distribution).__name__} has none; drop them, or take a head with bins."
            )
        kept = (
            distribution.cells.size
            if self.top_k is None
            else min(self.top_k, distribution.cells.size)
        )
        if self.temperature == 1:
            probs, cells = distribution.cells.largest(kept)
            chosen = Categorical(probs.log())
        else:  # which enlarges what rounding leaves of small probabilities
            logits, cells = distribution.cells.logits.topk(kept, sorted=False)
            chosen = Categorical(logits / self.temperature)
        choice = chosen.sample(torch.Size([count]))
        index = gather(cells, choice)
        return distribution.edges[index] + distribution.widths[index] * torch.rand_like(
            distribution.edges[index]
        )


torch.serialization.add_safe_globals([Paths])
PATHS = Paths()
"""A hundred futures, in tests only."""


def sample_paths(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    batch: SeriesBatch | CovariateBatch,
    paths: Paths,
    seed: int,
) -> Tensor:
    """Draws paths from the joint distribution of the horizon; `batch.target` is not read.

    The context is read once per series; its cache is then repeated for every path. The number of
    forward passes does not depend on the batch, so it is the same on all ranks.

    Args:
        stem: Embeds series; state h depends on targets before h only.
        backbone: Reads context and states, causally.
        head: Predicts the scaled values `(value - loc) / scale`.
        batch: Series to forecast.
        paths: How many to draw, and how many at once; its own seed is not used.
        seed: Seed of the draws; the global generators are left as they were.

    Returns:
        Paths in the series' own units, `[B, paths.samples, H]`.
    """
    if not stem.autoregressive:
        paths.refuse_choice(type(stem).__name__)
        return sample_horizons(stem, backbone, head, batch, paths.samples, paths.at_once, seed)
    weight = torch.ones_like(batch.weight)  # drawn values are known, whether or not the data are
    blank = batch._replace(target=torch.zeros_like(batch.target), weight=weight)
    inputs = _first(stem, blank)
    past = 0 if inputs.context is None else inputs.context.shape[1]
    cache = backbone.new_cache(len(batch.past), past + batch.target.shape[1])
    with seeded(seed, batch.past.device):
        first = head(stem.readout(backbone(inputs, cache))[:, 0])
        parts = []
        for start in range(0, paths.samples, paths.at_once):
            count = min(paths.at_once, paths.samples - start)
            value = paths.draw(first, count).T.flatten()
            copies = type(batch)(*(field.repeat_interleave(count, dim=0) for field in blank))
            drawn = _continue(stem, backbone, head, copies, cache.repeat(count), value, paths)
            parts.append(drawn.view(-1, count, drawn.shape[1]))
    return torch.cat(parts, dim=1)


def _continue(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    batch: SeriesBatch | CovariateBatch,
    cache: Cache,
    value: Tensor,
    paths: Paths,
) -> Tensor:
    """Draws the rest of paths `[N, H]` whose first scaled values `[N]` are known."""
    drawn = batch.target
    for h in range(drawn.shape[1]):
        if h > 0:
            hidden = backbone(stem.state(batch, h), cache)
            value = paths.draw(head(stem.readout(hidden)[:, 0]), 1)[0]
        drawn[:, h] = batch.loc[:, 0] + batch.scale[:, 0] * value
    return drawn


def _first(stem: Stem, batch: SeriesBatch | CovariateBatch) -> Embedded:
    """Embeds the context and the first state; without a mask if nothing of them is padding."""
    _, _, context, context_mask, _ = stem(batch)
    if context_mask is not None and bool(context_mask.all()):
        context_mask = None
    return stem.state(batch, 0)._replace(context=context, context_mask=context_mask)


def relative_score(scores: Sequence[float], references: Sequence[float]) -> float:
    r"""Averages the ratios of errors to those of a reference, by the geometric mean.

    .. math:: \Big(\prod_{i=1}^n s_i / r_i\Big)^{1/n}

    Below 1 the model beats the reference on average. Unlike with other means, the order of two
    models does not depend on the reference, and no data set counts more because its errors are
    large.

    Args:
        scores: Error on each data set, at least 0.
        references: Error of the reference on each, positive.

    Returns:
        The relative score; `nan` if a score or a reference is.

    Raises:
        ValueError: If there is nothing to average, or an error is out of its range.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 5.3, after Fleming and Wallace,
        "How not to lie with statistics" (1986).

    Example:
        >>> relative_score([2.0, 0.5], [1.0, 1.0])
        1.0
    """
    if not scores:
        raise ValueError("relative_score has no scores to average; give that of at least one set.")
    if min(scores) < 0 or min(references) <= 0:
        raise ValueError(
            f"relative_score: scores={list(scores)} must be at least 0, and "
            f"references={list(references)} positive."
        )
    ratios = [score / reference for score, reference in zip(scores, references, strict=True)]
    return 0.0 if 0.0 in ratios else math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
