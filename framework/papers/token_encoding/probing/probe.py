"""The probe: how linearly the rows of a read-out encode a quantity of their tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from framework.analysis.regression import LEAST, Regression, regress
from framework.papers.token_encoding.readout import Readout
from framework.papers.token_encoding.statistics import Statistics

FREQUENT = 1_000  # tokens that come most often
SMOOTHING = 0.5  # that is added to counts
SEED = 0  # of the controls
NUMBERS = (
    "count",
    "intercept",
    "r2",
    "adjusted_r2",
    "cross_validated_r2",
    "rmse",
    "deviation",
    "condition",
)

Target = Literal["alpha", "frequency", "geometric"]


@dataclass(frozen=True, eq=False)
class EncodingProbe:
    """How linear a quantity of tokens is in the rows of a read-out.

    Args:
        regression: The linear fit, and how well it holds.
        gain: Shift of a logit, averaged over contexts, that moving its row by -A / |A|² brings
            about, where 1 is asked for: -A · h̄ / |A|².
        cosine: Of the slope A and -h̄, which it should be.
        kept: Which tokens are regressed, `[V]` bool.
        target: The quantity, `[V]` float64; `nan` where it is not defined.
        predicted: Prediction of the fit, `[V]` float64.
        adjusted_r2_seen: That of the same fit among kept tokens that came in the text;
            `nan` if there are fewer than two.
        adjusted_r2_frequent: Among the 1,000 kept tokens that came most often.
        controls: Adjusted R² where there is nothing to be found: of the target in another order
            (`permuted`), and of a random matrix in place of the rows (`random`).
    """

    regression: Regression
    gain: float
    cosine: float
    kept: Tensor
    target: Tensor
    predicted: Tensor
    adjusted_r2_seen: float
    adjusted_r2_frequent: float
    controls: Mapping[str, float]

    @property
    def numbers(self) -> dict[str, float]:
        """Scores over all kept tokens, by name."""
        fit = {name: getattr(self.regression, name) for name in NUMBERS}
        return {**fit, "gain": self.gain, "cosine": self.cosine}


def probe(
    own: Readout,
    statistics: Statistics,
    target: Target = "alpha",
    counts: Tensor | None = None,
    known: int | None = None,
    ridge: float = 0.0,
    folds: int = 5,
) -> EncodingProbe:
    r"""Regresses a quantity of tokens on the rows E of a read-out and a constant.

    .. math:: -\log \alpha_w + b_w \approx A \cdot E_w + B

    The quantities, of which b is the bias of the read-out, if it has one:

    - `alpha`: :math:`-\log \alpha_w + b_w`, the averaged probability of a token;
    - `geometric`: :math:`-\overline{\log P(w|x)} + b_w`, which is linear exactly, with A = -h̄ and
      B the mean of log Z: what tests everything else;
    - `frequency`: :math:`-\log` of the share of a token in the text, its count and 0.5, of tokens
      that occur there. It knows nothing of the model, and of no bias.

    At random weights R² of `alpha` is nearly 1: it shows little alone, that of `frequency` does.

    Args:
        own: The read-out, with which the statistics were gathered.
        statistics: Its statistics over contexts.
        target: The quantity.
        counts: How often each token occurs in the training text, `[V]`; None for the text that the
            statistics were gathered in.
        known: Size of the vocabulary without the tokens that fill it up, which are left out.
        ridge: Penalty of the regression.
        folds: Parts of the tokens for cross-validation.

    Raises:
        ValueError: If too few tokens are left, or an option is out of its range.

    Source: Cho et al. (arXiv:2406.01468v1), abstract.
    """
    counts = (statistics.counts if counts is None else counts).cpu()
    values = QUANTITIES[target](own, statistics, counts)
    vocabulary = torch.arange(len(values)) < (len(values) if known is None else known)
    kept = vocabulary & values.isfinite()
    rows, wanted = own.weight[kept.to(own.weight.device)], values[kept]
    if len(wanted) < LEAST * rows.shape[1]:
        raise ValueError(
            f"probe: {len(wanted)} tokens are too few to regress {target} on rows of width "
            f"{rows.shape[1]}; {LEAST * rows.shape[1]} must be known, use more text, a larger "
            "vocabulary or a narrower model."
        )
    fit = regress(rows, wanted, ridge, folds)
    generator = torch.Generator().manual_seed(SEED)
    mixed = wanted[torch.randperm(len(wanted), generator=generator)]
    noise = torch.randn(rows.shape, generator=generator)
    predicted = fit.predict(own.weight)
    left = values - predicted
    often = torch.zeros_like(kept)
    often[counts.where(kept, -1).topk(min(FREQUENT, len(wanted))).indices] = True
    return EncodingProbe(
        regression=fit,
        gain=float(-(fit.slope @ statistics.mean) / fit.slope.square().sum()),
        cosine=float(cosine_similarity(fit.slope, -statistics.mean, dim=0)),
        kept=kept,
        target=values.where(kept, torch.nan),
        predicted=predicted,
        adjusted_r2_seen=_among(fit, values, left, kept & (counts > 0)),
        adjusted_r2_frequent=_among(fit, values, left, kept & often),
        controls={
            "permuted": regress(rows, mixed, ridge, folds=None).adjusted_r2,
            "random": regress(noise, wanted, ridge, folds=None).adjusted_r2,
        },
    )


def _alpha(own: Readout, statistics: Statistics, counts: Tensor) -> Tensor:
    return _moved(own, -statistics.alpha.log()).where(statistics.resolved, torch.nan)


def _geometric(own: Readout, statistics: Statistics, counts: Tensor) -> Tensor:
    return _moved(own, -statistics.log_geometric(own))


def _frequency(own: Readout, statistics: Statistics, counts: Tensor) -> Tensor:
    smooth = counts.double() + SMOOTHING
    return (smooth.sum() / smooth).log().where(counts > 0, torch.nan)


QUANTITIES: Mapping[Target, Callable[[Readout, Statistics, Tensor], Tensor]] = {
    "alpha": _alpha,
    "frequency": _frequency,
    "geometric": _geometric,
}


def _moved(own: Readout, values: Tensor) -> Tensor:
    """Adds the bias of a token, which its row does not encode."""
    return values if own.bias is None else values + own.bias.cpu().double()


def _among(fit: Regression, values: Tensor, left: Tensor, chosen: Tensor) -> float:
    """Returns adjusted R² of the regression among some of its tokens.

    Residuals are corrected as among all tokens, the variance is that of the chosen ones.
    """
    if chosen.sum() < 2:
        return math.nan
    corrected = left[chosen].square().mean() * fit.count / (fit.count - len(fit.slope) - 1)
    return float(1 - corrected / values[chosen].var())
