"""Dynamics: what a read-out encodes while it is trained, measured on the same contexts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from framework.analysis.processes import exact, place
from framework.analysis.regression import LEAST, regress
from framework.analysis.sample import Sample, Spread
from framework.data.module import Dataset, PredictiveData
from framework.data.protocols import CountsTokens
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.components import Components, principal_components
from framework.papers.token_encoding.probing.probe import EncodingProbe, Target, probe
from framework.papers.token_encoding.readout import Readout, embedding, readout
from framework.papers.token_encoding.statistics import Statistics, gather

CONTEXTS = 1  # that are kept: the fewest, as none is needed
TARGETS: tuple[Target, ...] = ("alpha", "geometric", "frequency")


class Snapshot(NamedTuple):
    """What scores are computed from."""

    readout: Readout
    table: Tensor | None  # the input embedding, `[V, D]`, if there is one
    statistics: Statistics


class Moment(NamedTuple):
    """What a read-out encodes at one moment."""

    scores: dict[str, float]
    alpha: EncodingProbe  # of the mean probabilities
    frequency: EncodingProbe
    components: Components  # of the rows of N tokens that the former regresses
    probability: Tensor  # mean of theirs, `[N]`


class Dynamics:
    """Measures a model on the same examples, as often as one likes.

    The scores are: adjusted R² of the logarithm of the corpus frequency on the rows of the output
    embedding (`frequency`) and on those of the input embedding, if there is one
    (`frequency_input`); adjusted R² of the logarithm of the mean predicted probability (`alpha`),
    and R² over held-out tokens (`alpha_cross_validated`); R² of the geometric mean (`geometric`),
    which must be 1; `gain` of the slope A, and its `cosine` with the mean hidden state turned
    around; `correlation` of both logarithms; adjusted R² on a random matrix (`random`), which must
    be about 0; Frobenius `norm` of the output embedding, and mean cosine of its rows with those at
    the start (`cosine_start`); mean loss of the contexts (`nll`, nats).

    Frequencies are those of the training text if the data count it, else of the targets that are
    read. Ids that only fill up the vocabulary are left out.

    Args:
        module: The model, built.
        data: What it is trained on.
        sequences: Validation examples to read, evenly spread; all if there are not so many.

    Raises:
        ValueError: If the model has no output embedding, or the text has too few different tokens
            for a regression on its width.
    """

    def __init__(self, module: PredictiveModule, data: PredictiveData, sequences: int) -> None:
        weight = module.head.output_embedding().weight
        examples = Spread(data.dataset("val"), sequences)
        size = data.eval_batch_size or max(1, data.batch_size // place()[1])
        self._sample = Sample(examples, None, size, module.device)
        if isinstance(data, CountsTokens):
            self.known, self.counts = data.vocabulary_size, data.counts()
        else:
            self.known, self.counts = len(weight), _targets(examples, size, len(weight))
        seen, width = int((self.counts[: self.known] > 0).sum()), weight.shape[1]
        if seen < LEAST * width:
            raise ValueError(
                f"The text has {seen} different tokens, too few to regress on rows of width "
                f"{width}, in which any number of theirs would be nearly linear; use at least "
                f"{LEAST * width}, or a narrower model."
            )

    def read(self, module: PredictiveModule) -> Snapshot:
        """Reads the examples once; all processes must call this together, and get the same.

        Args:
            module: The model.

        Raises:
            ValueError: If a hidden state is not finite.
        """
        own, table = readout(module), embedding(module.stem)
        return Snapshot(own, table, gather(module, self._sample, CONTEXTS))

    def measure(self, snapshot: Snapshot, start: Tensor) -> Moment:
        """Scores what was read.

        Args:
            snapshot: What `read` returned.
            start: The output embedding at the start, `[V, D]`.

        Raises:
            ValueError: If a row is not finite.
        """
        own, table, found = snapshot
        alpha, geometric, frequency = (
            probe(own, found, target, self.counts, self.known) for target in TARGETS
        )
        kept, wanted = frequency.kept, frequency.target[frequency.kept]
        scores = {
            "frequency": frequency.regression.adjusted_r2,
            "alpha": alpha.regression.adjusted_r2,
            "alpha_cross_validated": alpha.regression.cross_validated_r2,
            "geometric": geometric.regression.r2,
            "gain": alpha.gain,
            "cosine": alpha.cosine,
            "correlation": _correlation(-found.alpha[kept].log(), wanted),
            "random": alpha.controls["random"],
            "norm": float(exact(own.weight).norm()),
            "cosine_start": _likeness(own.weight, start),
            "nll": found.nll,
        }
        if table is not None:
            rows = table[kept.to(table.device)]
            scores["frequency_input"] = regress(rows, wanted, folds=None).adjusted_r2
        known = alpha.kept
        components = principal_components(own.weight[known.to(own.weight.device)])
        return Moment(scores, alpha, frequency, components, found.alpha[known])


def _targets(examples: Dataset, size: int, vocabulary: int) -> Tensor:
    """Counts the targets of examples, `[V]` int64."""
    counts = torch.zeros(vocabulary, dtype=torch.int64)
    for numbers in torch.split(torch.arange(len(examples)), size):
        batch = examples.__getitems__(numbers.tolist())
        counts += torch.bincount(batch.target[batch.weight > 0], minlength=vocabulary)
    return counts


def _correlation(some: Tensor, others: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((some, others)))[0, 1])


def _likeness(rows: Tensor, others: Tensor) -> float:
    """Returns the mean cosine of rows `[V, D]`."""
    return float(exact(cosine_similarity(rows, others.to(rows.device), dim=1)).mean())
