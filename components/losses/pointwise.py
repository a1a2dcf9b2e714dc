"""Losses that score single numbers read off a distribution: its mean, its quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import huber_loss

from components.distributions.affine import Affine
from components.distributions.scores import pinball
from components.distributions.tensors import constant
from components.distributions.vectors import add_components, components_of
from components.interfaces import Loss
from components.losses.refusal import refuse
from components.numbers import number, numbers


class SquaredError(Loss):
    r"""Squared error of the mean, whatever the distribution around it.

    .. math:: \lVert \mathbb{E}[x] - y \rVert^2

    In squared units of the outcome. Over tokens it is that of their numbers, which means something
    where they are ordered.

    Args:
        weight: Factor of this term in the objective, at least 0.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: squared units `[B, T]`."""
        with refuse(self, prediction, "a distribution with a mean"):
            mean = prediction.mean
        return add_components((mean - target).square(), prediction)


class Huber(Loss):
    r"""Huber loss of the mean, which weighs outliers less than the squared error.

    .. math:: \tfrac12 e^2 \ \text{ for } |e| \le \delta, \quad
              \delta (|e| - \tfrac12 \delta) \ \text{ beyond}, \qquad e = \mathbb{E}[x] - y

    In squared units of the outcome; of vectors the sum over their components.

    Args:
        delta: Error from which on the loss grows linearly, in units of the outcome, positive.
        weight: Factor of this term in the objective, at least 0.

    Raises:
        ValueError: If `delta` is not positive.

    Source: Huber, "Robust Estimation of a Location Parameter" (1964).
    """

    def __init__(self, delta: float = 1.0, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.delta = number(delta, "Huber: delta")
        if not self.delta > 0:
            raise ValueError(
                f"Huber: delta={delta} is the error from which on the loss is linear; "
                "use a positive one."
            )

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: squared units `[B, T]`."""
        with refuse(self, prediction, "a distribution with a mean"):
            mean = prediction.mean
        target = target.to(mean.dtype)
        return add_components(
            huber_loss(mean, target, reduction="none", delta=self.delta), prediction
        )


class Pinball(Loss):
    r"""Pinball loss of quantiles, averaged over their levels.

    .. math:: \max(\tau (y - q_\tau), (\tau - 1)(y - q_\tau))

    In the units of the outcome, or with `knee` in scales of the prediction. Over many levels it
    approaches half the CRPS, without `knee`.

    Where series of different units are trained together, `knee` measures errors of

    .. math:: k \, \mathrm{asinh}((y - \mathrm{loc}) / (k \, \mathrm{scale}))

    in place of y: all series then count alike, and what is farther than k scales from the location
    counts relative to its distance. The quantiles that minimize it are the same.

    Args:
        levels: Levels of the quantiles, each between 0 and 1.
        knee: Distance k in scales of the prediction, positive; errors are those of the outcome if
            not given.
        weight: Factor of this term in the objective, at least 0.

    Raises:
        ValueError: If there is no level, or one is not between 0 and 1, or `knee` is not positive.

    Source: Koenker & Bassett, "Regression Quantiles" (1978).
    """

    def __init__(
        self,
        levels: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        knee: float | None = None,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        self.levels = numbers(levels, "Pinball: levels")
        if not self.levels or not all(0 < level < 1 for level in self.levels):
            raise ValueError(
                f"Pinball: levels={list(self.levels)}; it needs one or more, each between 0 and 1."
            )
        self.knee = None if knee is None else number(knee, "Pinball: knee")
        if self.knee is not None and not 0 < self.knee < math.inf:
            raise ValueError(f"Pinball: knee={knee} is a distance in scales; use a positive one.")

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: units of the outcome, scales with `knee`, `[B, T]`."""
        levels = constant(self.levels, torch.float32, target.device)
        levels = levels.view(-1, *(1,) * target.dim())
        with refuse(self, prediction, "real values, which have quantiles"):
            each = components_of(prediction)
            if self.knee is not None:
                each, target = _scaled(each, target)
            quantiles = each.icdf(levels)
        if self.knee is not None:
            quantiles = self.knee * (quantiles / self.knee).asinh()
            target = self.knee * (target / self.knee).asinh()
        return add_components(pinball(quantiles, target, levels).mean(0), prediction)


def _scaled(distribution: Distribution, target: Tensor) -> tuple[Distribution, Tensor]:
    """Returns a distribution and its target in the units that the model predicts in."""
    if not isinstance(distribution, Affine):
        return distribution, target
    return _scaled(distribution.base, distribution.standardize(target))
