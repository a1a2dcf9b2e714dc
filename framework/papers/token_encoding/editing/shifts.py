"""Shifted logits of some tokens: what they do to all probabilities, and solving for a shift."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-6  # of the log of a scale
DOUBLINGS = 20  # of the shift, until the scale that is requested is passed
HALVINGS = 45  # of a bracket, beyond what float64 resolves
STEPS = 100  # of Newton's method
ENOUGH = 1e-11  # residual at which it stops
DECREASE = 1e-4  # share of the expected decrease that a step must deliver (Armijo)
SHORTEST = 2.0**-30  # of a step of Newton's method; a shorter one leads nowhere


@dataclass(frozen=True, eq=False)
class Shifted:
    r"""Distributions over tokens after logits of W tokens were shifted in N contexts.

    .. math:: P'_w = P_w e^{\delta_w} / D, \quad P'_v = P_v / D \text{ of any other token}, \quad
        D = 1 + \sum_w P_w (e^{\delta_w} - 1)

    Exact, with no other forward pass. Leading axes are edits that do not know of each other.

    Args:
        log_probs: Log probabilities of the tokens before, `[..., N, W]` float64.
        shift: What is added to their logits, broadcast to the same shape.
    """

    log_probs: Tensor
    shift: Tensor

    @cached_property
    def log_others(self) -> Tensor:
        """The log of the factor, `[..., N]`, by which the edit scales every other token."""
        moved = torch.logsumexp(self.log_probs + self.shift, -1)
        return -torch.logaddexp(self._log_rest, moved)

    @cached_property
    def _log_rest(self) -> Tensor:
        """Log probability of all other tokens before, `[..., N]`; rounding may leave none."""
        rest = 1 - self.log_probs.exp().sum(-1)
        return rest.clamp(min=torch.finfo(rest.dtype).tiny).log()

    @cached_property
    def log_moved(self) -> Tensor:
        """Log probabilities of the tokens after, `[..., N, W]`."""
        return self.log_probs + self.shift + self.log_others[..., None]

    def log_scale(self) -> Tensor:
        """Returns the log of the factor of alpha of each token over these contexts, `[..., W]`."""
        return self.log_moved.logsumexp(-2) - self.log_probs.logsumexp(-2)

    def kl(self) -> Tensor:
        """Returns the mean over contexts of KL(P || P'), in nats, `[...]`."""
        kept = (self.log_probs.exp() * self.shift).sum(-1)
        return -(kept + self.log_others).mean(-1)

    def js(self) -> Tensor:
        """Returns the mean Jensen-Shannon divergence of P and P', in nats, `[...]`.

        All other tokens keep their ratios, so that they count as one.
        """
        before = torch.cat((self.log_probs, self._log_rest[..., None]), -1)
        rest = (self._log_rest + self.log_others)[..., None]
        after = torch.cat((self.log_moved, rest), -1)
        middle = torch.logaddexp(before, after) - torch.tensor(2.0, dtype=before.dtype).log()
        both = before.exp() * (before - middle) + after.exp() * (after - middle)
        return both.sum(-1).mean(-1) / 2

    def nll(self, came: Tensor) -> Tensor:
        """Returns the increase of the mean NLL of the observed tokens, in nats, `[...]`.

        Args:
            came: Whether the observed token is the edited one, `[..., N, W]` bool.
        """
        return -((self.shift * came).sum(-1) + self.log_others).mean(-1)


class Solution(NamedTuple):
    """Shifts, and what they reach: the scales that were requested, or the last ones on the way."""

    amount: Tensor  # [...], in nats, times the profile of the direction
    log_scale: Tensor  # [...], of averaged probabilities

    def reaches(self, log_scale: Tensor) -> Tensor:
        """Tells where scales are what was requested, `[...]` bool."""
        return (self.log_scale - log_scale).abs() <= TOLERANCE


def solve_each(log_probs: Tensor, profile: Tensor, log_scale: Tensor) -> Solution:
    r"""Solves for one token by bisection; leading axes are problems of their own.

    .. math:: \tfrac{1}{N} \sum_x P'(w|x) = r \alpha_w, \quad
        P' = \sigma(\operatorname{logit} P + c s_x)

    Where the profile s is positive in all contexts, the left side grows with c from 0 to 1, and
    there is one c. Where it has both signs the left side may turn; it is followed from c = 0 until
    it reaches what is requested, or turns.

    Args:
        log_probs: Log probabilities of the token, `[..., N]` float64.
        profile: How much its logit rises per nat, `[N]`.
        log_scale: Logs of the scales r that are requested, `[...]`, not zero.
    """
    spare = torch.finfo(torch.float64).tiny
    odds = log_probs - (1 - log_probs.exp()).clamp(min=spare).log()
    start = log_probs.exp().mean(-1)

    def moments(amount: Tensor) -> tuple[Tensor, Tensor]:
        logit = odds + amount[..., None] * profile
        moved = logit.sigmoid()
        return moved.mean(-1), (profile * moved * (-logit).sigmoid()).mean(-1)

    _, rising = moments(torch.zeros_like(log_scale))
    side = log_scale.sign() * rising.sign()

    def passed(distance: Tensor) -> Tensor:
        mean, slope = moments(side * distance)
        gone = (mean / start).log() * log_scale.sign()
        return (gone >= log_scale.abs()) | (slope * rising <= 0)

    low, high = torch.zeros_like(log_scale), log_scale.abs() / 4
    for _ in range(DOUBLINGS):
        beyond = passed(high)
        if beyond.all():
            break
        low, high = torch.where(beyond, low, high), torch.where(beyond, high, 2 * high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = passed(middle)
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    mean, _ = moments(side * low)
    return Solution(side * low, (mean / start).log())


def solve(log_probs: Tensor, profile: Tensor, log_scale: Tensor) -> Solution:
    r"""Solves for several tokens at once, whose shifts act on each other through log Z.

    Newton's method with a line search, for :math:`\ln \alpha'_w(c) = \ln(r_w \alpha_w)`. With a
    profile s that is positive in all contexts, :math:`\alpha'` is the gradient of

    .. math:: F(c) = \tfrac{1}{N} \sum_x \tfrac{1}{s_x} \ln\bigl(1 + \sum_w P_w (e^{c_w s_x} -
        1)\bigr),

    strictly convex, for its Hessian is the mean of :math:`s_x (\operatorname{diag} P' - P'
    P'^\top)`. So shifts and targets (positive, with a sum below 1) correspond one to one, the
    Jacobian is never singular, shifts stay bounded while the residual falls, and a search along
    Newton's direction converges from anywhere. With a profile of both signs it may stall; then the
    largest common power of the scales is sought that it reaches.

    Args:
        log_probs: Log probabilities of the tokens, `[N, W]` float64.
        profile: How much a logit rises per nat, `[N]`.
        log_scale: Logs of the scales that are requested, `[W]`; the averaged probabilities that
            they ask for add up to less than 1.
    """
    if len(log_scale) == 1:
        return solve_each(log_probs.T, profile, log_scale)
    found = _newton(log_probs, profile, log_scale)
    if found.reaches(log_scale).all():
        return found
    low, high = 0.0, 1.0
    best = Solution(torch.zeros_like(log_scale), torch.zeros_like(log_scale))
    while high - low > 1e-3:
        power = (low + high) / 2
        found = _newton(log_probs, profile, power * log_scale)
        if found.reaches(power * log_scale).all():
            low, best = power, found
        else:
            high = power
    return best


def _newton(log_probs: Tensor, profile: Tensor, log_scale: Tensor) -> Solution:
    amount = solve_each(log_probs.T, profile, log_scale).amount  # as if each were alone
    state = _shift(log_probs, profile, amount)
    residual = state.log_scale() - log_scale
    for _ in range(STEPS):
        merit = residual.square().sum()
        if residual.abs().max() < ENOUGH:
            break
        step, _ = torch.linalg.solve_ex(_jacobian(state, profile), residual)
        length = 1.0
        while length > SHORTEST:
            tried = amount - length * step
            state = _shift(log_probs, profile, tried)
            left = state.log_scale() - log_scale
            if left.square().sum() <= (1 - 2 * DECREASE * length) * merit:
                break
            length /= 2
        else:
            break  # where the residual does not fall, rounding or a turning point ends the way
        amount, residual = tried, left
    return Solution(amount, residual + log_scale)


def _shift(log_probs: Tensor, profile: Tensor, amount: Tensor) -> Shifted:
    return Shifted(log_probs, profile[:, None] * amount)


def _jacobian(state: Shifted, profile: Tensor) -> Tensor:
    """Returns how the log of each averaged probability changes with each amount, `[W, W]`."""
    moved = state.log_moved.exp()
    weighted = profile[:, None] * moved
    alpha = moved.mean(0)
    return (weighted.mean(0).diag() - weighted.T @ moved / len(moved)) / alpha[:, None]
