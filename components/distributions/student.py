"""Student's t, with the distribution function and the quantiles that torch's own lacks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Chi2, Distribution
from torch.distributions import StudentT as TorchStudentT
from torch.distributions.utils import broadcast_all, lazy_property

from components.distributions.expanding import Expandable
from components.distributions.inversion import implicit
from components.distributions.tensors import joint_shape, require_positive, tiny, to_float32

ITERATIONS = 300  # of the continued fraction; some 50 are used
MANY = 1000.0  # degrees of freedom, beyond which a series is as exact as the fraction, and faster
NEWTON_STEPS = 30  # of the quantiles; about five are used
FIRST_LOOK = 4  # iterations of the fraction before the first look at a device that is waited for


class StudentT(Expandable, TorchStudentT):
    """One peak, and tails that fall like the power -(df + 1) of the distance.

    Distribution function and quantiles are computed in float64 and have a relative error of the
    order of the resolution of the parameters' dtype, far in the tails too; of more than 1000
    degrees of freedom, tails of less than 1e-100 have eight digits.

    Args:
        df: Degrees of freedom, positive. The mean exists above 1, the variance above 2.
        loc: Location, in the units of the outcome.
        scale: Scale, positive, in the same units.

    Raises:
        ValueError: On a CPU, if `df` or `scale` is not positive.
    """

    rows = ("df", "loc", "scale")

    def __init__(self, df: Tensor, loc: Tensor, scale: Tensor) -> None:
        self.df, self.loc, self.scale = (to_float32(t) for t in broadcast_all(df, loc, scale))
        require_positive(self.df, "StudentT: df")
        require_positive(self.scale, "StudentT: scale")
        # not torch's constructor: its chi-squared distribution would look at every value of `df`
        Distribution.__init__(self, self.df.shape, validate_args=False)

    @lazy_property
    def _chi2(self) -> Chi2:
        return Chi2(self.df, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`."""
        t = (value - self.loc) / self.scale
        return _log_density(t, self.df) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        endless = value.isinf()
        t = ((torch.where(endless, 0.0, value) - self.loc) / self.scale).double()
        held, df = t.detach(), self.df.double()
        tail = _tail(held.abs(), df, Looks(df))
        below = torch.where(held > 0, 1 - tail, tail)
        slope = _log_density(held, df).exp().detach()
        found = (below + slope * (t - held)).to(self.df.dtype)
        return torch.where(endless, (value > 0).to(found.dtype), found)

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the logarithms of the mass below and of the mass above values, each `[...]`.

        They keep their digits however small the mass is, and are once differentiable.
        """
        endless = value.isinf()
        t = ((torch.where(endless, 0.0, value) - self.loc) / self.scale).double()
        held, df = t.detach(), self.df.double()
        outer = _log_tail(held.abs(), df, Looks(df))
        inner = torch.log1p(-outer.exp())
        log_density = _log_density(held, df).detach()
        dtype = torch.promote_types(value.dtype, self.df.dtype)

        def side(log_mass: Tensor, sign: int) -> Tensor:
            slope = sign * (log_density - log_mass.detach()).exp()
            found = (log_mass + slope * (t - held)).to(dtype)
            return torch.where(endless, torch.where(sign * value > 0, 0.0, -math.inf), found)

        below, above = torch.where(held > 0, inner, outer), torch.where(held > 0, outer, inner)
        return side(below, 1), side(above, -1)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable.

        They are infinite at 0 and 1, and NaN at what is no probability.
        """
        shape = joint_shape(value, self.df)
        level, df = torch.minimum(value, 1 - value).double().expand(shape), self.df.double()
        looks = Looks(df)
        found = _upper_quantile(level.detach(), df.detach(), looks)
        residual = level - _tail(found, df, looks)
        t = implicit(found, residual, _log_density(found, df).exp())
        end = torch.where(level == 0, math.inf, math.nan)
        t = torch.where(level > 0, t, end).to(self.df.dtype)
        return self.loc + self.scale * torch.where(value < 0.5, -t, t)


class Looks:
    """When iterations look whether they have converged.

    On a CPU that is after each one. Other devices are waited for at each look: there it is first
    after as many as were enough the last time, and then after every other one.

    Args:
        like: A tensor of the device.
    """

    def __init__(self, like: Tensor) -> None:
        self.waits = like.device.type != "cpu"
        self.enough = FIRST_LOOK

    def due(self, iteration: int) -> bool:
        """Returns whether to look after an iteration, counted from 1."""
        beyond = iteration - self.enough
        return not self.waits or (beyond >= 0 and beyond % 2 == 0)


def _log_density(t: Tensor, df: Tensor) -> Tensor:
    half = df.double() / 2  # logarithms of large factorials cancel
    ratio = (torch.lgamma(half + 0.5) - torch.lgamma(half)).to(df.dtype)
    peak = ratio - (math.pi * df).log() / 2
    return peak - (df + 1) / 2 * torch.log1p(t.square() / df)


def _tail(t: Tensor, df: Tensor, looks: Looks) -> Tensor:
    """The mass beyond t ≥ 0, standardized: half the incomplete beta function, float64."""
    few, half = df.clamp_max(MANY), torch.full_like(df, 0.5)
    tail = incomplete_beta(few / 2, half, t.square() / few, looks) / 2
    return torch.where(df > MANY, torch.erfc(_normal(t, df) / math.sqrt(2)) / 2, tail)


def _log_tail(t: Tensor, df: Tensor, looks: Looks) -> Tensor:
    """Its logarithm, also where the mass itself is less than float64 holds."""
    few, half = df.clamp_max(MANY), torch.full_like(df, 0.5)
    tail = log_incomplete_beta(few / 2, half, t.square() / few, looks) - math.log(2)
    return torch.where(df > MANY, torch.special.log_ndtr(-_normal(t, df)), tail)


def _normal(t: Tensor, df: Tensor) -> Tensor:
    """Finds the normal deviate beyond which as much lies as beyond t ≥ 0, of many degrees.

    From 1000 degrees of freedom on, the logarithm of the mass so has a relative error of at most
    1e-13 up to t = 15, and of 3e-8 up to 100.

    Source: Hill, "Algorithm 395: Student's t-distribution" (1970).
    """
    a = df.clamp_min(MANY) - 0.5
    b = 48 * a.square()
    y = (a * torch.log1p(t.square() / df)).clamp_min(tiny(t))  # at 0 the root has no gradient
    series = ((-0.4 * y - 3.3) * y - 24) * y - 85.5
    return ((series / (0.8 * y.square() + 100 + b) + y + 3) / b + 1) * y.sqrt()


@torch.no_grad()
def _upper_quantile(level: Tensor, df: Tensor, looks: Looks) -> Tensor:
    """Finds t ≥ 0 with the mass `level` ≤ 1/2 beyond it, by Newton's method on log t's tail.

    Over s = arsinh t, the logarithm of the tail is nearly straight for heavy tails and concave for
    all, so steps converge from any start. They start from the normal approximation of Wallace.
    """
    limit = 300.0  # arsinh of what float64 holds, squared
    target = level.clamp_min(tiny(level)).log()
    z = torch.special.ndtri(level).abs() * (8 * df + 3) / (8 * df + 1)
    start = (df * torch.expm1((z.square() / df).clamp_max(limit))).sqrt()
    s: Tensor = start.clamp_max(math.exp(limit)).asinh()
    for number in range(NEWTON_STEPS):
        t = s.sinh()
        tail = _tail(t, df, looks).clamp_min(tiny(level))
        slope = _log_density(t, df).exp() * s.cosh() / tail
        step = (tail.log() - target) / slope.clamp_min(tiny(level))
        s, before = (s + step).clamp(0, limit), s
        if looks.waits and number == 0:  # one step is never enough
            continue
        if not bool(((s - before).abs() > 1e-11 * s + 1e-14).any()):  # NaN is no step either
            break
    return s.sinh()


def incomplete_beta(a: Tensor, b: Tensor, odds: Tensor, looks: Looks | None = None) -> Tensor:
    """Computes the regularized incomplete beta function I_x(a, b) at x = 1/(1 + odds).

    Args:
        a: First parameter, positive, float64 `[...]`; the result is differentiable in it.
        b: Second parameter, positive, float64 `[...]`; likewise.
        odds: (1 - x)/x, from 0 to infinity, `[...]`; keeps the digits of x close to 0 and to 1.
        looks: When to look whether the iterations have converged; None begins anew.

    Returns:
        Values between 0 and 1, `[...]`.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (continued fraction) and
        8.17.4 (symmetry); evaluated from the front by the method of Lentz and Thompson.
    """
    swap, a, log_power, fraction = _expand(a, b, odds, looks or Looks(odds))
    value = log_power.exp() / a * fraction
    return torch.where(swap, 1 - value, value)


def log_incomplete_beta(a: Tensor, b: Tensor, odds: Tensor, looks: Looks | None = None) -> Tensor:
    """Computes the logarithm of `incomplete_beta`, also of values too small for float64."""
    swap, a, log_power, fraction = _expand(a, b, odds, looks or Looks(odds))
    value = log_power - a.log() + fraction.log()
    return torch.where(swap, torch.log1p(-value.exp()), value)


def _expand(
    a: Tensor, b: Tensor, odds: Tensor, looks: Looks
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Chooses the tail whose fraction converges: whether the other one, its a, and its factors.

    I_x(a, b) of that tail is x^a (1 - x)^b / (a B(a, b)) times the fraction.
    """
    odds = odds.clamp(tiny(odds), 1 / tiny(odds))
    swap = 1 / (1 + odds) > (a + 1) / (a + b + 2)
    a, b = torch.where(swap, b, a), torch.where(swap, a, b)
    odds = torch.where(swap, 1 / odds, odds)
    log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    log_power = -a * torch.log1p(odds) - b * torch.log1p(1 / odds) - log_beta
    return swap, a, log_power, _fraction(a, b, 1 / (1 + odds), looks)


def _fraction(a: Tensor, b: Tensor, x: Tensor, looks: Looks) -> Tensor:
    """1/(1 + d_1/(1 + d_2/(1 + …))) with the coefficients of DLMF 8.17.23."""
    c = torch.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            value = value * (c * d)
        # NaN would never get close, either
        if looks.due(m) and not bool(((c * d - 1).abs() >= 4e-15).any()):
            looks.enough = m
            break
    return value


def _away_from_zero(value: Tensor) -> Tensor:
    return torch.where(value.abs() < 1e-150, 1e-150, value)
