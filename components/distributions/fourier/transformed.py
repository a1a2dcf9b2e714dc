"""The Fourier distribution over the whole line: a Fourier density, transformed by a warp."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property
from torch.types import _size

from components.distributions.expanding import Expandable
from components.distributions.fourier.density import FourierDensity
from components.distributions.fourier.polynomial import correlate
from components.distributions.fourier.warps import Warp
from components.distributions.quadrature import made_once, panels
from components.distributions.tensors import unless_nan

NODES = 16  # of the quadrature in each panel
HALVINGS = 60  # of the last panel, towards the singularity at its end
ZOOMS, POINTS = 4, 33  # how often the surroundings of the mode are looked at, at how many points


class TransformedFourier(Expandable):
    r"""A density on the whole line, given by N + 1 complex numbers and a warp w.

    .. math:: p(x) = \frac{|\sum_{k=0}^N a_k e^{i \pi k z}|^2}{2 \sum_k |a_k|^2} \,
        \frac{w'(y)}{scale}, \quad z = w(y), \quad y = \frac{x - loc}{scale}

    No outcome is impossible. Quantiles at levels that the dtype cannot tell from 0 or 1 are the
    last finite ones, 8 to 20 scales away.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`;
            their scale does not matter.
        warp: The map from the line to z between -1 and 1.
        loc: Where z is 0, in the units of the outcome.
        scale: What one unit of y is worth, positive.

    Raises:
        ValueError: If the number of coefficients is odd or `scale` not positive.

    Source: De la Fuente et al., "Fourier Basis Density Model" (arXiv:2402.15345), section 2.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    has_rsample = True
    support = constraints.real

    rows = ("base",)

    def __init__(self, coefficients: Tensor, warp: Warp, loc: float, scale: float) -> None:
        if not scale > 0:
            raise ValueError(
                f"TransformedFourier: scale={scale} is not positive; give the spread of outcomes."
            )
        self.base = FourierDensity(coefficients, -1, 1)
        self.warp = warp
        self.loc = loc
        self.scale = scale
        super().__init__(self.base.batch_shape, validate_args=False)

    @property
    def coefficients(self) -> Tensor:
        """The coefficients in float32 or float64, `[..., 2(N + 1)]`."""
        return self.base.coefficients

    @property
    def correlations(self) -> Tensor:
        r"""The g of the density :math:`1/2 + \Re \sum g_k e^{i \pi k z}`, complex `[..., N]`."""
        return self.base.correlations

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`, at a cost linear in N."""
        y = self._standardize(value)
        inside = self.base.log_prob(self.warp.squeeze(y))
        return inside + self.warp.log_slope(y) - math.log(self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        return self.base.cdf(self.warp.squeeze(self._standardize(value)))

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable."""
        return self._outcome(self.warp.invert(self.base.icdf(value)))

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]` by inversion, differentiable."""
        return self._outcome(self.warp.invert(self.base.rsample(sample_shape)))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, a fifth of the price of those with a gradient."""
        with torch.no_grad():
            return self._outcome(self.warp.invert(self.base.sample(sample_shape)))

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        first, _ = self._moments
        return (self.loc + self.scale * first).to(self.coefficients.dtype)

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        first, second = self._moments
        return (self.scale**2 * (second - first.square())).to(self.coefficients.dtype)

    @property
    def mode(self) -> Tensor:
        """Where the density is highest, `[...]`, without gradient."""
        with torch.no_grad():
            points = 8 * self.base.terms
            step = torch.full_like(self.coefficients[..., 0], 1 / points)
            best, count = torch.zeros_like(step), 2 * points - 1
            for _ in range(ZOOMS):
                offsets = torch.arange(count, device=step.device) - (count - 1) // 2
                shape = (-1, *(1,) * step.ndim)
                x = self._outcome(self.warp.invert(best + step * offsets.view(shape)))
                highest = self.log_prob(x).max(0)
                best = best + step * offsets[highest.indices]
                step, count = step * 2 / (POINTS - 1), POINTS
            return unless_nan(highest.values, self._outcome(self.warp.invert(best)))

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`."""
        _, y, _ = self._rule
        slope = self._expect_even(self.warp.log_slope(y)).to(self.coefficients.dtype)
        return self.base.entropy() - slope + math.log(self.scale)

    @property
    def roughness(self) -> Tensor:
        r"""The integral of :math:`p'(x)^2`, in units of the outcome⁻³, `[...]`."""
        rest, y, weights = self._rule
        gamma, k, sign = self._waves
        sine = -sign.unsqueeze(-1) * (math.pi * k * rest).sin()  # at z = 1 - rest
        cosine = sign.unsqueeze(-1) * (math.pi * k * rest).cos()
        order = math.pi * k.squeeze(-1)
        even, odd = 0.5 + gamma.real @ cosine, -gamma.imag @ sine
        falling, rising = (order * gamma.real) @ sine, -(order * gamma.imag) @ cosine
        slope, bend = self.warp.log_slope(y).exp(), self.warp.bend(y)
        at_z = (rising - falling) * slope + (even + odd) * bend
        at_minus_z = (rising + falling) * slope - (even - odd) * bend
        total = (at_z.square() + at_minus_z.square()) @ (weights * slope)
        return (total / self.scale**3).to(self.coefficients.dtype)

    @lazy_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """E[y] and E[y²] in float64."""
        _, y, _ = self._rule
        return self._expect_odd(y), self._expect_even(y.square())

    def _expect_odd(self, values: Tensor) -> Tensor:
        r"""Integrates an odd function, :math:`-\sum \Im g_k \, 2\int_0^1 f \sin(\pi k z) dz`."""
        rest, _, weights = self._rule
        gamma, k, sign = self._waves
        return gamma.imag @ (sign * ((math.pi * k * rest).sin() @ (2 * weights * values)))

    def _expect_even(self, values: Tensor) -> Tensor:
        r"""Integrates an even one, :math:`\int_0^1 f (1 + 2 \sum \Re g_k \cos(\pi k z)) dz`."""
        rest, _, weights = self._rule
        gamma, k, sign = self._waves
        whole = (weights * values).sum()
        return whole + gamma.real @ (sign * ((math.pi * k * rest).cos() @ (2 * weights * values)))

    @lazy_property
    def _rule(self) -> tuple[Tensor, Tensor, Tensor]:
        """Values of 1 - z, the y there and weights for integrals over z from 0 to 1, each `[Q]`.

        In even panels as short as the fastest wave.
        """
        rest, weights = _between(self.base.terms // 2 + 1, self.coefficients.device)
        return rest, self.warp.stretch(rest), weights

    @lazy_property
    def _waves(self) -> tuple[Tensor, Tensor, Tensor]:
        """The correlations in float64, the numbers k = 1 .. N as a column, and (-1)^k."""
        gamma = correlate(self.coefficients.double())
        k = torch.arange(1, self.base.terms, dtype=torch.float64, device=gamma.device)
        return gamma, k.unsqueeze(-1), 1 - 2 * (k % 2)

    def _standardize(self, value: Tensor) -> Tensor:
        return (value.to(self.coefficients.dtype) - self.loc) / self.scale

    def _outcome(self, y: Tensor) -> Tensor:
        return self.loc + self.scale * y


@made_once
def _between(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lays out even panels, the last one halved again and again, for y has a pole there."""
    halves = torch.full((HALVINGS,), 0.5, dtype=torch.float64, device="cpu")
    even = torch.linspace(1 / count, 1, count, dtype=torch.float64, device="cpu")
    rest, weights = panels(torch.cat((halves.cumprod(0).flip(0) / count, even)), NODES)
    return rest.to(device), weights.to(device)
