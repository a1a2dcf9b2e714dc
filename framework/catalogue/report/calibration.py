"""Whether predicted probabilities are those with which things happen, on validation data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from components.data import Batch
from components.distributions import Mixed
from components.distributions.tensors import gather
from components.distributions.vectors import components_of
from components.supports import Tokens
from framework.analysis.sample import Sample, Spread
from framework.catalogue.report.blocks import Block, Charts, Sentence
from framework.catalogue.report.charts import bar_chart, diagonal_chart
from framework.checkpoints import of_run
from framework.console import import_path
from framework.console.checkpoint_options import CheckpointOptions, parse_options
from framework.console.devices import fabric_on
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.modules.base import PredictiveModule
from framework.modules.objective import counted_target

BINS = 10  # of [0, 1]
BATCH = 8  # examples that are predicted at a time: of many tokens, each has a large vocabulary
CHECKPOINTS = "checkpoints"  # folder in that of a run


class Reliability(NamedTuple):
    """How often the most likely outcome came, where it had about the same probability.

    Args:
        predicted: Mean probability in each bin that holds some, `[K]`.
        observed: How often it came there, `[K]`.
        share: Share of the predictions that are there, `[K]`.
    """

    predicted: Tensor
    observed: Tensor
    share: Tensor

    @property
    def error(self) -> float:
        r"""Expected calibration error, :math:`\sum_k \text{share}_k |p_k - o_k|`.

        Source: Guo et al., "On Calibration of Modern Neural Networks" (arXiv:1706.04599).
        """
        return float((self.share * (self.predicted - self.observed).abs()).sum())


def reliability(confidence: Tensor, correct: Tensor) -> Reliability:
    """Bins predictions by the probability of their most likely outcome.

    Args:
        confidence: That probability, `[N]`, in [0, 1].
        correct: Whether it came, bool `[N]`.

    Example:
        >>> reliability(torch.tensor([0.62, 0.64, 0.95]), torch.tensor([True, False, True]))[1]
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    sums = [
        torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, values.double())
        for values in (torch.ones_like(confidence), confidence, correct)
    ]
    number, probability, hits = (each[sums[0] > 0] for each in sums)
    return Reliability(probability / number, hits / number, number / number.sum())


def measure(folder: Path, examples: int) -> list[Block]:
    """Measures the best checkpoint of a run, or its last one, on examples of its validation data.

    Args:
        folder: The log directory of the run.
        examples: How many to read, spread over the split.

    Raises:
        UserError: If the run has no checkpoint.
        ValueError: If checkpoint or data cannot be read.
    """
    place = folder / CHECKPOINTS
    found = [path for path in (place / "best.ckpt",) if path.exists()] or of_run(place)
    if not found:
        raise UserError(f"{place} holds no checkpoint to measure; drop --calibration.")
    checkpoint = OpenedCheckpoint(found[0])
    import_path.extend([str(found[0])])
    options = parse_options(CheckpointOptions, "report", "", checkpoint, [])
    checkpoint.require_data(options.data)
    device = fabric_on(options.accelerator).device
    module, split = checkpoint.module.to(device), Spread(options.data.dataset("val"), examples)
    sample = Sample(split, batch_size=BATCH, device=device)
    said = f"Of {checkpoint.path.name}, on {sample.size:,} examples of validation."
    if isinstance(module.spec.support, Tokens):
        return _of_choices(module, sample, said)
    return _of_quantities(module, sample, said)


def _of_choices(module: PredictiveModule, sample: Sample, said: str) -> list[Block]:
    pairs = [_most_likely(module, batch) for _, batch in sample]
    found = reliability(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))
    points = [*zip(found.predicted.tolist(), found.observed.tolist(), strict=True)]
    note = (
        "How often the most likely outcome came, against its probability; on the diagonal they "
        f"agree. Expected calibration error {found.error:.3f}."
    )
    chart = diagonal_chart("Reliability", points, "probability of the most likely outcome", note)
    return [Sentence(said), Charts([chart])]


def _most_likely(module: PredictiveModule, batch: Batch) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        confidence, outcome = module(batch).probs.max(-1)
    counted = batch.weight > 0
    found = _require_finite(confidence[counted].cpu())
    return found, (outcome == batch.target)[counted].cpu()


def _require_finite(probabilities: Tensor) -> Tensor:
    if not probabilities.isfinite().all():
        raise UserError(
            "The checkpoint predicts probabilities that are NaN, as after a training that "
            "diverged; drop --calibration."
        )
    return probabilities


def _of_quantities(module: PredictiveModule, sample: Sample, said: str) -> list[Block]:
    try:
        found = torch.cat([ranks_of(module, *numbered) for numbered in sample])
    except NotImplementedError:
        return [Sentence("What the run predicts has no cumulative distribution function.")]
    ranks = _require_finite(found).double()
    shares = torch.histc(ranks, BINS, 0, 1) / len(ranks)
    levels = torch.linspace(0, 1, 2 * BINS + 1, dtype=torch.float64)
    below = [(level, float((ranks <= level).double().mean())) for level in levels.tolist()]
    largest = max(abs(x - y) for x, y in below)
    charts = [
        bar_chart(
            *("PIT histogram", shares.tolist(), 1 / BINS, "cumulative probability of what came"),
            "Flat where predictions are calibrated; high at the ends if they are too sure.",
        ),
        diagonal_chart(
            *("Reliability of quantiles", below, "level of the quantile"),
            "How often the outcome was at most the predicted quantile; on the diagonal it is "
            f"so often as predicted. Largest difference {largest:.3f}.",
        ),
    ]
    return [Sentence(said), Charts(charts)]


def ranks_of(module: PredictiveModule, numbers: Tensor, batch: Batch) -> Tensor:
    r"""Returns the probability integral transform of the outcomes that count, `[N]` in [0, 1].

    Each component of a vector counts by itself. An outcome with a probability of its own, such as
    a value that was clipped, is spread over the levels that the distribution function F jumps
    over, so that ranks are uniform there too:

    .. math:: F(y) - u \, P(y), \quad u \sim U(0, 1)

    Args:
        module: Predicts the distributions.
        numbers: Numbers of the examples, `[B]`; u is a function of them, whatever the batches are.
        batch: The examples, targets `[B, ...]`.

    Raises:
        NotImplementedError: If the predicted distribution has no cumulative one.

    Source: Brockwell, "Universal residuals: A multivariate transformation" (2007).
    """
    target = counted_target(batch)
    with torch.no_grad():
        distribution = components_of(module(batch))
        ranks = distribution.cdf(target)
        if isinstance(distribution, Mixed):
            spread = _uniform(numbers, target.shape[1:]).to(ranks)
            ranks = torch.where(
                distribution.is_atom(target), _within_jump(distribution, target, spread), ranks
            )
    return ranks[batch.weight > 0].flatten().clamp(0, 1).cpu()


def _uniform(numbers: Tensor, shape: torch.Size) -> Tensor:
    """Draws `[B, *shape]` from [0, 1), each example by a seed of its own."""
    generators = (torch.Generator().manual_seed(number) for number in numbers.tolist())
    return torch.stack([torch.rand(shape, generator=generator) for generator in generators])


def _within_jump(distribution: Mixed, value: Tensor, spread: Tensor) -> Tensor:
    """Returns levels within the jump at the atom nearest to each value, `spread` from its top."""
    nearest = (value.unsqueeze(-1) - distribution.atoms).abs().argmin(-1)
    top = distribution.cdf(distribution.atoms[nearest].to(value.dtype))
    return top - spread * gather(distribution.atom_masses, nearest)
