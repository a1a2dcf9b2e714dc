"""Returns of episodes on a scale that compares between environments."""

from __future__ import annotations

from torch import Tensor


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
