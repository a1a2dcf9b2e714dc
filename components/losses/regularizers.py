"""Losses that look at the prediction alone: its roughness, its parameters, its certainty."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from components.distributions.functionals import coefficient_power, log_normalizer
from components.distributions.roughness import roughness
from components.distributions.vectors import add_components, components_of
from components.interfaces import Loss
from components.losses.refusal import refuse


class Roughness(Loss):
    r"""Penalizes a rough density, so that neighbors get similar probabilities.

    .. math:: \int p'(x)^2 \, dx

    Exact where the distribution knows its Fourier coefficients (Parseval), over cells too: there
    it is that of the density which they resolve, and no axis of cells is built. A finite
    difference where the distribution is a histogram of another kind. With outcomes in units u the
    integral has the unit u⁻³, so a weight tuned on scaled values does not carry over to raw ones,
    nor from numbered outcomes (the unit is one of them) to an interval.

    Args:
        weight: Factor of this term in the objective, at least 0.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), regularization. They penalize
        coefficients before normalization (see CoefficientPenalty); this penalizes the density,
        which does not depend on the scale of the coefficients.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Measures predictions of batch shape `[B, T]`: `[B, T]`."""
        with refuse(self, prediction, "a density with a slope"):
            return roughness(prediction)


class CoefficientPenalty(Loss):
    r"""Penalizes large Fourier coefficients, the more the higher their frequency.

    .. math:: 4 \pi^2 \sum_{k=1}^N k^2 |c_k|^2, \quad c_k = \sum_{j=0}^{N-k} a_{j+k} \bar a_j

    It is a penalty on scale, not on smoothness: a distribution depends on :math:`c_k / c_0` alone,
    and coefficients half as large give the same distribution at a sixteenth of the penalty. It
    equals :math:`4 c_0^2 \int p'(z)^2 dz` over z from -1 to 1. It keeps
    coefficients from growing, which would make the steps of the optimizer lose effect. For smooth
    distributions use Roughness.

    The published weight is 1e-6. The authors' programs computed the term, but only those for
    synthetic densities added it to what was minimized.

    Args:
        weight: Factor of this term in the objective, at least 0; 1e-6 to do as was published.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), regularization, with the factor of
        their code.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Measures predictions of batch shape `[B, T]`: `[B, T]`."""
        with refuse(self, prediction, "a distribution made of Fourier coefficients"):
            return coefficient_power(prediction)


class ZLoss(Loss):
    r"""Keeps the normalizer of logits close to one, where half precision is most accurate.

    .. math:: \log^2 \sum_k e^{l_k}

    The components of a vector add up.

    Args:
        weight: Factor of this term in the objective, at least 0; 1e-4 is usual.

    Source: Chowdhery et al., "PaLM" (arXiv:2204.02311), section 5.
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Measures predictions of batch shape `[B, T]`: `[B, T]`."""
        with refuse(self, prediction, "raw logits"):
            normalizers = log_normalizer(components_of(prediction))
        return add_components(normalizers.square(), prediction)


class Entropy(Loss):
    r"""Negative entropy: a small weight keeps predicted distributions broad.

    .. math:: \mathbb{E}[\log p(x)]

    In nats. For policies that must explore, and classifiers that must not be overconfident.

    Args:
        weight: Factor of this term in the objective, at least 0.

    Source: Williams & Peng, "Function Optimization using Connectionist Reinforcement Learning
        Algorithms" (1991); Pereyra et al. (arXiv:1701.06548).
    """

    def forward(self, prediction: Distribution, target: Tensor) -> Tensor:
        """Measures predictions of batch shape `[B, T]`: nats `[B, T]`."""
        with refuse(self, prediction, "a distribution with an entropy"):
            return -prediction.entropy()
