"""The Fourier distribution over cells of any widths: exact integrals of a Fourier density."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from components.distributions.fourier.categorical import FourierCells
from components.distributions.fourier.polynomial import (
    FEW_TERMS,
    angles,
    basis,
    log_power,
    powers,
    transform,
)
from components.distributions.quadrature import gauss_legendre, made_once

EVEN = 1e-9  # cells whose widths differ by less than this fraction count as equal
ANGLES = 65  # at which the error of a quadrature is measured


class FourierHistogram(FourierCells):
    r"""A smooth distribution over cells between given edges, whose probabilities are integrals.

    .. math:: q_j = \frac{1}{2 \sum_k |a_k|^2}
        \int_{e_j}^{e_{j+1}} \Big|\sum_{k=0}^N a_k e^{i \pi k z}\Big|^2 dz

    Here z runs from -1 at the first edge to 1 at the last. Where `FourierCategorical` takes the
    density at m even centers, this one respects where the edges are; and no frequency is folded.

    The integral is a difference of the distribution function, which float32 loses in narrow and in
    unlikely cells. It is computed by Gauss-Legendre quadrature instead, with as many points in a
    cell as make it exact in the dtype for waves of N frequencies: 4 or so if cells are many. Its
    terms are positive, so no mass is negative. `log_prob` costs as much as that many values
    at centers.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`;
            their scale does not matter.
        edges: The m + 1 borders of the cells, increasing, in any unit.
        eps: Added to every probability before all are normalized again, (q + eps)/(1 + m eps).

    Raises:
        ValueError: If the number of coefficients is odd, the edges do not increase or make no
            cell, or `eps` is negative.
    """

    def __init__(self, coefficients: Tensor, edges: tuple[float, ...], eps: float = 0.0) -> None:
        super().__init__(coefficients, len(edges) - 1, eps)
        a = self.coefficients
        self._terms = a.shape[-1] // 2
        self._rule: _Rule = _rule(edges, self._terms - 1, torch.finfo(a.dtype).eps, a.device)

    def _log_mass(self, index: Tensor) -> Tensor:
        rule, a = self._rule, self.coefficients
        half = rule.half[index]
        nodes = rule.nodes.view(-1, *(1,) * index.ndim)
        z = rule.center[index] + half * nodes
        at = basis(angles(z, self._terms, a.dtype))
        weights = rule.weights.log().to(a.dtype).view_as(nodes)
        return half.log().to(a.dtype) + (log_power(a, at) + weights).logsumexp(0)

    @lazy_property
    def _masses(self) -> Tensor:
        rule, dtype = self._rule, self.coefficients.dtype
        means = self.coefficients.new_zeros(())
        for node, weight in zip(rule.nodes, rule.weights.to(dtype), strict=True):
            means = means + weight * self._values(rule.center + rule.half * node)
        return rule.half.to(dtype) * means

    def _values(self, z: Tensor) -> Tensor:
        """The density times 2 at one point in each cell, `[..., size]`."""
        a = self.coefficients
        if self._rule.even and self._terms > FEW_TERMS and self.size >= self._terms:
            return transform(a, angles(z[0], self._terms, a.dtype), self.size)
        return powers(a, basis(angles(z, self._terms, a.dtype)))


class _Rule(NamedTuple):
    """How to integrate over cells; in float64, for a center may lie anywhere."""

    center: Tensor  # [m], between -1 and 1
    half: Tensor  # [m], half the widths
    nodes: Tensor  # [n], between -1 and 1
    weights: Tensor  # [n], of sum 1
    even: bool  # whether all cells are equally wide


@made_once
def _rule(edges: tuple[float, ...], frequencies: int, eps: float, device: torch.device) -> _Rule:
    borders = torch.tensor(edges, dtype=torch.float64, device="cpu")
    if not bool((borders.diff() > 0).all()):
        raise ValueError(
            f"FourierHistogram: edges must increase, got {len(edges)} from {edges[:4]} on; "
            "sort them."
        )
    borders = 2 * (borders - borders[0]) / (borders[-1] - borders[0]) - 1
    half = borders.diff() / 2
    nodes, weights = _nodes(math.pi * frequencies * half.max().item(), eps)
    even = bool((half.max() - half.min()) <= EVEN * half.max())
    center = borders[:-1] + half
    return _Rule(center.to(device), half.to(device), nodes.to(device), weights.to(device), even)


def _nodes(angle: float, eps: float) -> tuple[Tensor, Tensor]:
    """Finds the fewest points that average all cosines up to an angle over [-1, 1] within eps."""
    waves = torch.linspace(0, angle, ANGLES, dtype=torch.float64, device="cpu").unsqueeze(-1)
    exact = torch.special.sinc(waves.squeeze(-1) / math.pi)
    order = 1
    while True:
        nodes, weights = gauss_legendre(order)
        error = ((waves * nodes).cos() @ weights - exact).abs().max().item()
        if error <= max(eps, 1e-14):  # eigenvectors are not more exact than that
            return nodes, weights
        order += 1
