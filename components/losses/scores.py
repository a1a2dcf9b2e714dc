"""Scores of a whole distribution that, unlike the likelihood, know how far the outcome was."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from components.distributions.functionals import crps
from components.interfaces import Loss
from components.losses.refusal import refuse


class CRPS(Loss):
    r"""Asks for a distribution function close to the step at the outcome.

    .. math:: \int (F(x) - [x \ge y])^2 \, dx

    In the units of the outcome. It forgives near misses, and is finite where the likelihood is 0.
    The components of a vector add up.

    Args:
        weight: Factor of this term in the objective, at least 0.

    Source: Gneiting & Raftery, "Strictly Proper Scoring Rules" (2007), section 4.2.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: units of the outcome `[B, T]`."""
        with refuse(self, prediction, "a distribution with a distribution function"):
            return crps(prediction, target)
