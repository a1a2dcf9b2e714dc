"""Orders in which dimensions of what a read-out reads are deleted, each of them nested."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

NULL = 1e-10  # share of the largest variance below which a direction holds rounding errors only


class Order(ABC):
    """Projects a vector h of width D onto what is left after deleting its first dimensions: P h.

    Orders are nested: more deletions delete the same dimensions, and others.
    """

    dim: int

    @abstractmethod
    def left(self, states: Tensor, count: int) -> Tensor:
        """Returns P h of vectors `[..., D]` for the P of `count` deletions."""

    @abstractmethod
    def narrowed(self, rows: Tensor, count: int) -> Tensor:
        """Returns E P of an output embedding `[V, D]`, which ignores what is deleted."""

    @abstractmethod
    def kept(self, count: int) -> Tensor:
        """Returns which dimensions `count` deletions leave, `[D - count]`, ascending.

        Raises:
            ValueError: If they delete no dimensions, but directions across them.
        """


class AxisOrder(Order):
    """Deletes dimensions one by one, those of low scores first.

    Args:
        scores: How much each dimension counts, `[D]`.
    """

    def __init__(self, scores: Tensor) -> None:
        self.index = scores.cpu().argsort(stable=True)
        self.dim = len(scores)

    def left(self, states: Tensor, count: int) -> Tensor:
        """Returns vectors `[..., D]` with zeros where a dimension is deleted."""
        return states.index_fill(-1, self.index[:count].to(states.device), 0)

    def narrowed(self, rows: Tensor, count: int) -> Tensor:
        """Returns rows with zeros in the columns of deleted dimensions."""
        return self.left(rows, count)

    def kept(self, count: int) -> Tensor:
        """Returns which dimensions are left, `[D - count]`."""
        return self.index[count:].sort().values


class RotatedOrder(Order):
    r"""Deletes the directions along which logits change least: no order of dimensions does better.

    With C the covariance of what is read and E_c the output embedding without the mean of its
    rows, the columns of U are eigenvectors of :math:`C^{1/2} E_c^\top E_c C^{1/2}`; what is left
    is

    .. math:: P = C^{1/2} U_{kept} U_{kept}^\top C^{-1/2}

    which is the best map of that rank for logits in the mean square, if what it deletes is
    replaced by its mean. The matrix `E P` is dense, though of low rank.

    Args:
        rows: The output embedding, `[V, D]`.
        covariance: Of what it reads, `[D, D]` float64.

    Source: Eckart and Young, "The approximation of one matrix by another of lower rank" (1936),
        for the map from contexts of unit covariance to logits.
    """

    def __init__(self, rows: Tensor, covariance: Tensor) -> None:
        values, vectors = torch.linalg.eigh(covariance)
        varies = values > NULL * values[-1]
        roots = torch.where(varies, values, 0).sqrt()
        inverse = torch.where(varies, values, math.inf).rsqrt()
        root = (vectors * roots) @ vectors.T
        wide = centered(rows.cpu())
        directions = torch.linalg.eigh(root @ (wide.T @ wide) @ root).eigenvectors
        self._write = root @ directions  # P = write read^T, columns deleted from the left
        self._read = (vectors * inverse) @ vectors.T @ directions
        self.dim = len(values)

    def left(self, states: Tensor, count: int) -> Tensor:
        """Returns P h of vectors `[..., D]`: themselves if nothing is deleted."""
        if count == 0:
            return states
        read, write = (x[:, count:].to(states) for x in (self._read, self._write))
        left: Tensor = states @ read @ write.T
        return left

    def narrowed(self, rows: Tensor, count: int) -> Tensor:
        """Returns E P of rows `[V, D]`: themselves if nothing is deleted."""
        if count == 0:
            return rows
        read, write = (x[:, count:].to(rows) for x in (self._read, self._write))
        narrowed: Tensor = rows @ write @ read.T
        return narrowed

    def kept(self, count: int) -> Tensor:
        """Refuses: every dimension is still read."""
        raise ValueError(
            "Saliency rotated deletes directions across dimensions, so that every dimension is "
            "still read; drop --physical true, or choose another saliency."
        )


def centered(rows: Tensor) -> Tensor:
    """Takes off what all tokens share, in float64: a softmax does not see it.

    Args:
        rows: The output embedding `[V, D]`, or its bias `[V]`.
    """
    wide = rows.double()
    return wide - wide.mean(0)
