"""How little suffices to know the slope of a probe: few contexts, few dimensions."""

from __future__ import annotations

from torch.nn.functional import cosine_similarity

from framework.analysis.encoding.contexts import Contexts
from framework.analysis.encoding.probing import EncodingProbe
from framework.analysis.encoding.readout import Readout
from framework.analysis.encoding.regression import regress
from framework.metrics.token_statistics import TokenStatistics

FEWEST, MOST, FACTOR = 16, 4_096, 4  # contexts


def few_contexts(own: Readout, contexts: Contexts, found: EncodingProbe) -> dict[int, float]:
    """Tells how close the slope of -log alpha from n contexts is to that from all.

    Args:
        own: The read-out.
        contexts: A random sample, the first n of which are used.
        found: The probe of alpha, from all contexts.

    Returns:
        The cosine of both slopes, by n: 16, 64, ... up to 4,096 or as many as there are. Tokens
        whose probability is 0 in so few are left out.
    """
    metric = TokenStatistics(own.weight, own.bias)
    bias = 0.0 if own.bias is None else own.bias.cpu().double()
    cosines, read, size = {}, 0, FEWEST
    while size <= min(MOST, len(contexts)):
        places = slice(read, size)
        device = own.weight.device
        metric.update(contexts.hidden[places].to(device), contexts.target[places].to(device))
        values = bias - (metric.probability.cpu().double() / size).log()
        kept = found.kept & values.isfinite()
        law = regress(own.weight[kept.to(device)], values[kept])
        cosines[size] = float(cosine_similarity(law.slope, found.regression.slope, dim=0))
        read, size = size, size * FACTOR
    return cosines


def few_dimensions(own: Readout, found: EncodingProbe) -> dict[int, float]:
    """Tells how well the k dimensions that carry most in a probe do alone.

    Args:
        own: The read-out.
        found: A probe of it.

    Returns:
        Adjusted R² of a law of these dimensions only, by k: 1, 2, 4, ... and all.
    """
    order = found.regression.saliency.argsort(descending=True)
    rows, target = own.weight[found.kept.to(own.weight.device)], found.target[found.kept]
    sizes = [2**k for k in range((len(order) - 1).bit_length())]
    shares = {k: regress(rows[:, order[:k].to(rows.device)], target).adjusted_r2 for k in sizes}
    return {**shares, len(order): found.regression.adjusted_r2}
