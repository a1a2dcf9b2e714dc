"""ProbeReport: all that is measured of how a read-out encodes the probabilities of its tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from framework.analysis.regression import COLLINEAR
from framework.papers.token_encoding.components import Components, principal_components
from framework.papers.token_encoding.probing.probe import EncodingProbe, Target, probe
from framework.papers.token_encoding.probing.sufficiency import few_contexts, few_dimensions
from framework.papers.token_encoding.probing.theory import (
    Agreement,
    agreement,
    first_order,
    second_order,
)
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.statistics import Statistics

KIND = "overtone token probe 1"  # marks the file
LINEAR = 1e-12  # what R² of the geometric mean may miss
EXACT = 1e-8  # error of its slope, and of the constant
WHOLE = 1e-5  # error of the sum of probabilities, from float32 logits
JENSEN = 1e-3  # nats by which a mean may seem less than the geometric one


@dataclass(frozen=True, eq=False)
class ProbeReport:
    """Results of a probe.

    Args:
        probes: By target; that of the geometric mean is always there, without ridge.
        statistics: What they are made of.
        counts: How often each token occurs in the training text, `[V]`.
        known: Size of the vocabulary without the tokens that fill it up.
        ridge: Penalty of the regressions.
        theory: How well predictions from moments fit -log alpha, by order.
        contexts: Cosine of the slope from n contexts and that from all, by n.
        dimensions: Adjusted R² of the k dimensions that carry most, by k, of the first target.
        components: Principal components of the rows.
        failures: What the self-test found wrong: sentences, hopefully none.
    """

    probes: Mapping[Target, EncodingProbe]
    statistics: Statistics
    counts: Tensor
    known: int
    ridge: float
    theory: Mapping[str, Agreement]
    contexts: Mapping[int, float]
    dimensions: Mapping[int, float]
    components: Components
    failures: Sequence[str]

    @property
    def requested(self) -> list[Target]:
        """The targets without that of the self-test."""
        return [target for target in self.probes if target != "geometric"]

    @property
    def main(self) -> EncodingProbe:
        """The probe of the target that was requested first."""
        return next(iter(self.probes.values()))

    def save(self, path: Path) -> None:
        """Writes slopes and what they predict as safetensors, with numbers and provenance.

        Args:
            path: The file; one that is there is replaced.
        """
        tensors = {}
        for target, found in self.probes.items():
            fit = found.regression
            tensors[f"{target}.slope"] = fit.slope
            tensors[f"{target}.standard_errors"] = fit.standard_errors
            tensors[f"{target}.target"] = found.target
            tensors[f"{target}.predicted"] = found.predicted
        numbers = {target: found.numbers for target, found in self.probes.items()}
        texts = {
            "kind": KIND,
            "numbers": json.dumps({"ridge": self.ridge, **numbers}),
            "fingerprint": self.statistics.fingerprint,
            "provenance": json.dumps(dict(self.statistics.provenance)),
        }
        save_file({name: x.contiguous() for name, x in tensors.items()}, path, texts)


def examine(
    own: Readout,
    statistics: Statistics,
    targets: Sequence[Target] = ("alpha", "frequency"),
    counts: Tensor | None = None,
    known: int | None = None,
    ridge: float = 0.0,
    folds: int = 5,
) -> ProbeReport:
    """Probes a read-out for some targets, and tests itself with the geometric mean.

    Args:
        own: The read-out.
        statistics: Its statistics over contexts.
        targets: What to look for, the most important first.
        counts: How often each token occurs in the training text; see `probe`.
        known: Size of the vocabulary without the tokens that fill it up; see `probe`.
        ridge: Penalty of the regressions.
        folds: Parts of the tokens for cross-validation.

    Raises:
        ValueError: If too few tokens are left, or an option is out of its range.
    """
    seen = statistics.counts if counts is None else counts
    size = len(seen) if known is None else known
    probes = {name: probe(own, statistics, name, seen, size, ridge, folds) for name in targets}
    tested = probe(own, statistics, "geometric", seen, size)
    main, alpha = next(iter(probes.values()), tested), probes.get("alpha")
    theory, contexts = {}, {}
    if alpha is not None:
        among = alpha.target[alpha.kept]
        for name, predict in {"first order": first_order, "second order": second_order}.items():
            theory[name] = agreement(among, predict(own, statistics)[alpha.kept])
        contexts = few_contexts(own, statistics.contexts, alpha)
    return ProbeReport(
        probes={**probes, "geometric": tested},
        statistics=statistics,
        counts=seen,
        known=size,
        ridge=ridge,
        theory=theory,
        contexts=contexts,
        dimensions=few_dimensions(own, main),
        components=principal_components(own.weight[:size]),
        failures=self_test(own, statistics, tested),
    )


def self_test(own: Readout, statistics: Statistics, tested: EncodingProbe) -> list[str]:
    """Holds statistics and regression against what must be true of them.

    Args:
        own: The read-out.
        statistics: Its statistics over contexts.
        tested: Its probe of the geometric mean.

    Returns:
        A sentence for each identity that does not hold.
    """
    fit, mean = tested.regression, statistics.mean
    scale = max(1.0, float(mean.abs().max()))
    slope = float((fit.slope + mean).abs().max()) / scale
    constant = abs(fit.intercept - statistics.log_z) / max(1.0, abs(statistics.log_z))
    total = float(statistics.alpha.sum())
    excess = statistics.log_geometric(own) - statistics.alpha.log()
    jensen = float(excess[statistics.resolved].max())
    failures = []
    if not 1 - fit.r2 < LINEAR:
        failures.append(f"R² of the geometric mean misses 1 by {1 - fit.r2:.1e}.")
    if fit.condition <= COLLINEAR and not max(slope, constant) < EXACT:
        failures.append(
            f"The slope of the geometric mean misses -h by {max(slope, constant):.1e}."
        )
    if not abs(total - 1) < WHOLE:
        failures.append(f"Averaged probabilities sum to {total:.7f} and must to 1.")
    if not jensen < JENSEN:
        failures.append(f"A mean probability is below the geometric mean, by {jensen:.1e} nats.")
    return failures
