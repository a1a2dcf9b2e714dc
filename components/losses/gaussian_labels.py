"""HL-Gauss: the likelihood of cells, of a label that is spread over its neighbors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import pad

from components.distributions import Histogram
from components.distributions.dispatch import functional
from components.interfaces import Loss
from components.losses.refusal import refuse
from components.numbers import number


class HLGauss(Loss):
    r"""Cross-entropy with a label that is a Gaussian around the target, integrated over the cells.

    .. math:: -\sum_k w_k(y) \log p_k, \quad
        w_k(y) = \Phi\Big(\frac{k + 1 - u}{\sigma}\Big) - \Phi\Big(\frac{k - u}{\sigma}\Big)

    Here p_k is the density in cell k, and u is where the target is, counted in cells from the
    first edge: a target in the middle of cell 3 is at 3.5. So the label says that neighboring
    cells are alike, which a head with a logit per cell does not know. Where cells are not equally
    wide, the Gaussian is one over u. What of it lies beyond the ends belongs to the end cells.

    In nats of a density: for small sigma this is `NegativeLogLikelihood`; the widths of the cells
    add what does not depend on the prediction. A perfect prediction has the entropy of the label,
    not 0, so its values do not compare with those of other losses.

    Args:
        sigma: Standard deviation of the label, in cells, positive. With .75, nearly all of it lies
            in six cells.
        weight: Factor of this term in the objective, at least 0.

    Raises:
        ValueError: If `sigma` is not positive, or not finite.

    Source: Imani & White, "Improving Regression Performance with Distributional Losses"
        (arXiv:1806.04613); Farebrother et al., "Stop Regressing" (arXiv:2403.03950), section 3.1
        and the .75 of its experiments. They divide the label by its mass between the ends, in
        place of giving the rest to the end cells.
    """

    def __init__(self, sigma: float = 0.75, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.sigma = number(sigma, "HLGauss: sigma")
        if not 0 < self.sigma < math.inf:
            raise ValueError(
                f"HLGauss: sigma={sigma} is the width of the label in cells; choose a positive "
                "one such as .75, or NegativeLogLikelihood for none."
            )

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Scores targets `[B, T, *event]`: nats `[B, T]`."""
        with refuse(self, prediction, "a histogram, whose cells lie in a row"):
            return smoothed_nll(prediction, target, sigma=self.sigma)


@functional(lambda value, affine: value + affine.log_scale)
def smoothed_nll(prediction: Distribution, target: Tensor, sigma: float) -> Tensor:
    """Computes the mean of -log p over cells with the weights of a label, `[...]`.

    Raises:
        NotImplementedError: If the distribution is no histogram.
    """
    raise NotImplementedError(f"A {type(prediction).__name__} has no cells in a row.")


@smoothed_nll.register
def _(prediction: Histogram, target: Tensor, sigma: float) -> Tensor:
    index = prediction.index(target)
    inside = (target - prediction.edges[index]) / prediction.widths[index]
    label = gaussian_label(index, inside, prediction.cells.size, sigma)
    densities = prediction.cells.log_probs - prediction.widths.log()
    return -(label * densities).sum(-1)


def gaussian_label(index: Tensor, inside: Tensor, size: int, sigma: float) -> Tensor:
    """Integrates Gaussians over cells of width 1.

    Args:
        index: Cell of each mean, int64 `[...]`.
        inside: Where the mean is from the left edge of that cell, `[...]`: from 0 to 1, or further
            where it lies beyond the ends.
        size: Number of cells, K.
        sigma: Standard deviation, in cells.

    Returns:
        Masses `[..., K]` of sum 1, those beyond the ends in the end cells.
    """
    borders = torch.arange(1, size, device=inside.device) - index.unsqueeze(-1)
    below = torch.special.ndtr((borders - inside.unsqueeze(-1)) / sigma)
    return pad(pad(below, (1, 0)), (0, 1), value=1.0).diff(dim=-1)
