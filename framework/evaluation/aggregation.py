"""One score for many data sets: how large an error is, relative to that of a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence


def relative_score(scores: Sequence[float], references: Sequence[float]) -> float:
    r"""Averages the ratios of errors to those of a reference, by the geometric mean.

    .. math:: \Big(\prod_{i=1}^n s_i / r_i\Big)^{1/n}

    Below 1 the reference is beaten on average. Unlike with other means, the order of two models
    does not depend on the reference, and no data set counts more because its errors are large.

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
        raise ValueError("relative_score averages nothing; give the score of at least one set.")
    if min(scores) < 0 or min(references) <= 0:
        raise ValueError(
            f"relative_score: scores={list(scores)} are to be at least 0, and "
            f"references={list(references)} positive."
        )
    ratios = [score / reference for score, reference in zip(scores, references, strict=True)]
    return 0.0 if 0.0 in ratios else math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
