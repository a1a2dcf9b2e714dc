"""Returns of episodes on a scale that compares between environments."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

RANDOM = "random"  # the name of the reference that scores 0


def normalized_score(returns: Tensor, random: float, reference: float) -> Tensor:
    """Scales returns so that a random policy scores 0 and the reference policy 100.

    Args:
        returns: Returns of episodes, any shape.
        random: Mean return of a policy that acts at random.
        reference: Mean return of the policy to compare with: a human player, or the data.

    Returns:
        Scores in percent, of the shape of `returns`; not a number where a mean return is unknown.

    Raises:
        ValueError: If both mean returns are the same.

    Source: Mnih et al., "Human-level control through deep reinforcement learning" (2015), methods.
    """
    if random == reference:
        raise ValueError(
            f"normalized_score: random and reference return are both {random}; a scale needs two "
            "different returns."
        )
    return 100 * (returns - random) / (reference - random)


def named_scores(returns: Tensor, references: Mapping[str, float]) -> dict[str, Tensor]:
    """Scales returns by every pair of known references, under names that say which.

    Args:
        returns: Returns of episodes, any shape.
        references: Mean returns by name; `random` scores 0 and each other one 100. Those that are
            not finite are unknown, those that `random` reaches are no scale; both are left out.

    Returns:
        Scores in percent, of the shape of `returns`, by names such as `score_random_to_data`.

    Example:
        >>> import torch
        >>> named_scores(torch.tensor([60.0]), {"random": 20.0, "data": 100.0, "expert": math.nan})
        {'score_random_to_data': tensor([50.])}
    """
    random = references.get(RANDOM, math.nan)
    return {
        f"score_{RANDOM}_to_{name}": normalized_score(returns, random, reference)
        for name, reference in references.items()
        if math.isfinite(random) and math.isfinite(reference) and reference > random
    }
