"""Rules of quadrature, which are made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Given = ParamSpec("Given")
Made = TypeVar("Made")


def made_once(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """Decorates a function of plain numbers and a device, whose result is shared.

    To a compiler the result is a constant. It may be made in a validation step, and serves
    training as well: do not write to it.
    """
    kept = lru_cache(maxsize=16)(torch.inference_mode(False)(make))

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch's
    @wraps(make)
    def made(*args: Given.args, **options: Given.kwargs) -> Made:
        result: Made = kept(*args, **options)  # type: ignore[arg-type]  # all are hashable
        return result

    found: Callable[Given, Made] = made
    return found


def gauss_legendre(order: int) -> tuple[Tensor, Tensor]:
    """Makes nodes in [-1, 1] and weights of sum 1, each float64 `[order]`.

    Source: Golub and Welsch, "Calculation of Gauss Quadrature Rules" (1969): eigenvalues and
        eigenvectors of a small matrix.
    """
    k = torch.arange(1, order, dtype=torch.float64, device="cpu")
    beside = k / (4 * k.square() - 1).sqrt()
    matrix = torch.diag(beside, 1) + torch.diag(beside, -1)
    nodes, vectors = torch.linalg.eigh(matrix)
    return nodes, vectors[0].square()


def panels(ends: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Lays out Gauss-Legendre rules between the ends of panels.

    Args:
        ends: In increasing order, float64 `[..., N]`.
        order: Points in each panel.

    Returns:
        Places and weights of integrals from the first end to the last one, each
        `[..., (N - 1) order]`.
    """
    nodes, weights = _on(order, ends.device)
    half = ends.diff().unsqueeze(-1) / 2
    places = ends[..., :-1, None] + half * (1 + nodes)
    return places.flatten(-2), (2 * half * weights).flatten(-2)


@made_once
def _on(order: int, device: torch.device) -> tuple[Tensor, Tensor]:
    nodes, weights = gauss_legendre(order)
    return nodes.to(device), weights.to(device)
