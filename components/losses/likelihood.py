"""Losses made of log-probabilities: the negative log-likelihood, and its smoothed form."""

from __future__ import annotations

from functools import singledispatch

from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions import Affine, Histogram
from components.distributions.categorical import Discrete
from components.distributions.functionals import add_components
from components.interfaces import Loss
from components.losses.refusal import refuse


class NegativeLogLikelihood(Loss):
    r"""Asks for probability where the outcome was.

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
    r"""Asks for probability where the outcome was, and for a little everywhere.

    .. math:: -(1 - s) \log p(y) - s \int u(x) \log p(x) \, dx

    u is the uniform distribution over the tokens, or over the range of a histogram. It keeps a
    model from being certain. Distributions without finite range have no uniform distribution to be
    close to.

    Args:
        smoothing: Share s of the uniform distribution, from 0 to 1.
        weight: Factor of this term in the objective, at least 0.

    Raises:
        ValueError: If `smoothing` is not between 0 and 1.

    Source: Szegedy et al., "Rethinking the Inception Architecture" (arXiv:1512.00567), section 7.
    """

    def __init__(self, smoothing: float = 0.1, weight: float = 1.0) -> None:
        super().__init__(weight)
        if not 0 <= smoothing <= 1:
            raise ValueError(
                f"LabelSmoothing: smoothing={smoothing} is a share; choose it between 0 and 1."
            )
        self.smoothing = smoothing

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: nats `[B, T]`."""
        with refuse(self, prediction, "a distribution over cells: a categorical or a histogram"):
            everywhere = uniform_nll(prediction)
        return -(1 - self.smoothing) * prediction.log_prob(target) + self.smoothing * everywhere


@singledispatch
def uniform_nll(prediction: Distribution) -> Tensor:
    """Computes the mean of -log p over all cells, each counted alike, `[...]`.

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


@uniform_nll.register
def _(prediction: Affine) -> Tensor:
    return uniform_nll(prediction.base) + prediction.log_scale


@uniform_nll.register(Independent)
def _(prediction: Independent[Distribution]) -> Tensor:
    return add_components(uniform_nll(prediction.base_dist), prediction)
