"""Losses that score a whole distribution: log-likelihood, with smoothed labels too, and CRPS."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from components.distributions import Discrete, Histogram
from components.distributions.dispatch import functional
from components.distributions.scores import crps
from components.interfaces import Loss
from components.losses.refusal import refuse
from components.numbers import number


class NegativeLogLikelihood(Loss):
    r"""Negative log-likelihood of the target.

    .. math:: -\log p(y)

    In nats: of a probability for tokens, of a density in the units of the outcome for real values,
    so that heads of any kind and resolution compare. The components of a vector add up.

    Args:
        weight: Factor of this term in the objective, at least 0.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: nats `[B, T]`."""
        return -prediction.log_prob(target)


class LabelSmoothing(Loss):
    r"""Negative log-likelihood of a target that is mixed with the uniform distribution.

    .. math:: -(1 - s) \log p(y) - s \int u(x) \log p(x) \, dx

    u is the uniform distribution over the tokens, or over the range of a histogram. It keeps a
    model from being overconfident. Distributions without finite range have no uniform distribution
    to be close to.

    Args:
        smoothing: Weight s of the uniform distribution, from 0 to 1.
        weight: Factor of this term in the objective, at least 0.

    Raises:
        ValueError: If `smoothing` is not between 0 and 1.

    Source: Szegedy et al., "Rethinking the Inception Architecture" (arXiv:1512.00567), section 7.
    """

    def __init__(self, smoothing: float = 0.1, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.smoothing = number(smoothing, "LabelSmoothing: smoothing")
        if not 0 <= self.smoothing <= 1:
            raise ValueError(
                f"LabelSmoothing: smoothing={smoothing} is the weight of the uniform "
                "distribution; choose it between 0 and 1."
            )

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: nats `[B, T]`."""
        with refuse(self, prediction, "a distribution over cells: a categorical or a histogram"):
            everywhere = uniform_nll(prediction)
        return -(1 - self.smoothing) * prediction.log_prob(target) + self.smoothing * everywhere


class CRPS(Loss):
    r"""Continuous ranked probability score: like the absolute error, for distributions.

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


@functional(lambda value, affine: value + affine.log_scale)
def uniform_nll(prediction: Distribution) -> Tensor:
    """Computes the mean of -log p over all cells, with equal weights, `[...]`.

    Raises:
        NotImplementedError: If the distribution has no cells.
    """
    raise NotImplementedError(f"A {type(prediction).__name__} has no cells to be uniform over.")


@uniform_nll.register
def _(prediction: Discrete) -> Tensor:
    return -prediction.log_probs.mean(-1)


@uniform_nll.register
def _(prediction: Histogram) -> Tensor:
    widths = prediction.widths
    densities = prediction.cells.log_probs - widths.log()
    return -(densities * widths).sum(-1) / widths.sum()
