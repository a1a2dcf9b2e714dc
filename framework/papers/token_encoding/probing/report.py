"""Reports of a probe: tables, numbers and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from framework.analysis.report import Report
from framework.papers.token_encoding.figures.probes import (
    draw_components,
    draw_contexts,
    draw_fits,
    draw_saliency,
)
from framework.papers.token_encoding.probing.controls import Controls
from framework.papers.token_encoding.probing.probe import EncodingProbe, Target
from framework.papers.token_encoding.probing.probe_report import ProbeReport

NAMES: Mapping[Target, str] = {
    "alpha": "-log alpha",
    "frequency": "-log frequency",
    "geometric": "-log geometric mean",
}
ROWS: Mapping[str, Callable[[EncodingProbe], str]] = {
    "tokens": lambda found: f"{found.regression.count:,}",
    "adjusted R²": lambda found: _share(found.regression.adjusted_r2),
    "  of tokens left out of the fit": lambda found: _share(found.regression.cross_validated_r2),
    "  of tokens seen in training": lambda found: _share(found.adjusted_r2_seen),
    "  of the 1,000 most frequent": lambda found: _share(found.adjusted_r2_frequent),
    "residual, nats": lambda found: f"{found.regression.rmse:.3f}",
    "deviation of the target, nats": lambda found: f"{found.regression.deviation:.3f}",
    "condition of the rows": lambda found: f"{found.regression.condition:.3g}",
    "gain of the slope A, -A·h/|A|²": lambda found: f"{found.gain:.3f}",
    "cosine of A and -h": lambda found: f"{found.cosine:.3f}",
    "control: target permuted": lambda found: _share(found.controls["permuted"]),
    "control: random rows": lambda found: _share(found.controls["random"]),
}


def report_probe(found: ProbeReport, controls: Controls, decode: Callable[[int], str]) -> Report:
    """Reports the probes: a column for each target; in numbers a row for each token.

    Args:
        found: What was found.
        controls: Of other rows and models.
        decode: Writes a token.
    """
    probes = found.probes
    table = [["", *(NAMES[name] for name in probes)]]
    table += [[row, *map(written, probes.values())] for row, written in ROWS.items()]
    for label, shares in controls.items():
        cells = [_share(shares.get(name, math.nan)) for name in probes]
        table.append([f"control: {label}", *cells])
    for order, (r2, correlation) in found.theory.items():
        cells = [f"{r2:.3f} ({correlation:.3f})" if name == "alpha" else "" for name in probes]
        table.append([f"nothing fitted, {order}: R² (corr.)", *cells])
    columns = [label for name in probes for label in (NAMES[name], f"{NAMES[name]}, linear")]
    values = [x.tolist() for p in probes.values() for x in (p.target, p.predicted)]
    tokens = zip(found.statistics.alpha.tolist(), found.counts.tolist(), *values, strict=True)
    numbers: list[list[str | float]] = [["token", "text", "alpha", "count", *columns]]
    numbers += [[k, decode(k), *row] for k, row in enumerate(tokens) if k < found.known]
    shown = found.requested or list(probes)
    fits = {NAMES[name]: (probes[name].target, probes[name].predicted) for name in shown}
    return Report("probe", table, numbers, _metrics(found, controls), draw_fits(fits))


def report_dimensions(found: ProbeReport) -> Report:
    """Reports the saliency of each dimension in the first probe, and R² of few of them."""
    fit, shares = found.main.regression, found.dimensions
    table = [["dimensions", *map(str, shares)], ["adjusted R²", *map(_share, shares.values())]]
    columns = (
        fit.slope,
        fit.standard_errors,
        fit.deviations,
        fit.saliency,
    )
    numbers: list[list[str | float]] = [
        ["dimension", "slope", "standard error", "deviation", "saliency"],
        *([k, *row] for k, row in enumerate(zip(*(x.tolist() for x in columns), strict=True))),
    ]
    metrics = {f"dimensions/adjusted_r2 of {k}": share for k, share in shares.items()}
    return Report("dimensions", table, numbers, metrics, draw_saliency(fit.saliency, shares))


def report_contexts(found: ProbeReport) -> Report:
    """Reports the cosine between slopes from few contexts and that from all."""
    cosines = found.contexts
    table = [["contexts", *map(str, cosines)], ["cosine", *map(_share, cosines.values())]]
    numbers: list[list[str | float]] = [["contexts", "cosine"]]
    numbers += [[n, cosine] for n, cosine in cosines.items()]
    metrics = {f"contexts/cosine of {n}": cosine for n, cosine in cosines.items()}
    return Report("contexts", table, numbers, metrics, draw_contexts(cosines))


def report_components(found: ProbeReport) -> Report:
    """Reports principal components of the rows, colored by probability."""
    scores, shares = found.components
    alpha = found.statistics.alpha[: found.known]
    table = [["component", "share of variance"]]
    table += [[str(k + 1), f"{share:.3f}"] for k, share in enumerate(shares)]
    numbers: list[list[str | float]] = [["token", "alpha", "component 1", "component 2"]]
    numbers += [
        [k, a, *row]
        for k, (a, row) in enumerate(zip(alpha.tolist(), scores.tolist(), strict=True))
    ]
    metrics = {f"components/share of {k + 1}": share for k, share in enumerate(shares)}
    figure = draw_components(scores, shares, alpha)
    return Report("components", table, numbers, metrics, figure)


def _metrics(found: ProbeReport, controls: Controls) -> dict[str, float]:
    metrics = {f"{name}/{key}": x for name, p in found.probes.items() for key, x in _of(p).items()}
    for label, shares in controls.items():
        metrics |= {f"{name}/control: {label}": share for name, share in shares.items()}
    for order, (r2, correlation) in found.theory.items():
        metrics |= {f"alpha/{order} r2": r2, f"alpha/{order} correlation": correlation}
    return {f"probe/{name}": x for name, x in metrics.items() if math.isfinite(x)}


def _of(found: EncodingProbe) -> dict[str, float]:
    return {
        **found.numbers,
        "adjusted_r2_seen": found.adjusted_r2_seen,
        "adjusted_r2_frequent": found.adjusted_r2_frequent,
        **{f"control: {name}": share for name, share in found.controls.items()},
    }


def _share(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.4f}"
