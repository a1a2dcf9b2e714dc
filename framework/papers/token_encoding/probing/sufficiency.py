"""How few contexts and how few dimensions suffice for a probe."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from framework.analysis.processes import exact
from framework.analysis.regression import regress
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.probing.probe import EncodingProbe
from framework.papers.token_encoding.readout import Readout

CHUNK = 1 << 22  # probabilities that are held in float64 at once: 32 MB
FEWEST, MOST, FACTOR = 16, 4_096, 4  # contexts


def few_contexts(own: Readout, contexts: Contexts, found: EncodingProbe) -> dict[int, float]:
    """Compares the slope of -log alpha from n contexts with that from all.

    Args:
        own: The read-out.
        contexts: A random sample, the first n of which are used.
        found: The probe of alpha, from all contexts.

    Returns:
        The cosine of both slopes, by n: 16, 64, ... up to 4,096 or as many as there are. Tokens
        whose probability is 0 in so few are left out.
    """
    bias = 0.0 if own.bias is None else own.bias.cpu().double()
    total = torch.zeros(len(own.weight), dtype=torch.float64)
    cosines, read, size = {}, 0, FEWEST
    while size <= min(MOST, len(contexts)):
        total += _probability(own, contexts.hidden[read:size])
        values = bias - (total / size).log()
        kept = found.kept & values.isfinite()
        fit = regress(own.weight[kept.to(own.weight.device)], values[kept], folds=None)
        cosines[size] = float(cosine_similarity(fit.slope, found.regression.slope, dim=0))
        read, size = size, size * FACTOR
    return cosines


def few_dimensions(own: Readout, found: EncodingProbe) -> dict[int, float]:
    """Measures how well the k most salient dimensions predict the target alone.

    Args:
        own: The read-out.
        found: A probe of it.

    Returns:
        Adjusted R² of a fit of these dimensions only, by k: 1, 2, 4, ... and all.
    """
    order = found.regression.saliency.argsort(descending=True)
    rows, target = own.weight[found.kept.to(own.weight.device)], found.target[found.kept]
    sizes = [2**k for k in range((len(order) - 1).bit_length())]
    shares = {
        k: regress(rows[:, order[:k].to(rows.device)], target, folds=None).adjusted_r2
        for k in sizes
    }
    return {**shares, len(order): found.regression.adjusted_r2}


def _probability(own: Readout, hidden: Tensor) -> Tensor:
    """Returns the sum over contexts `[N, D]` of the probability of each token, `[V]` float64."""
    parts = torch.split(hidden.to(own.weight.device), max(1, CHUNK // len(own.weight)))
    return torch.stack([exact(own.logits(part).softmax(-1)).sum(0).cpu() for part in parts]).sum(0)
