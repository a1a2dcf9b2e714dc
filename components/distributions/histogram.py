"""A histogram: a distribution over cells as a density of values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint, interval
from torch.distributions.utils import lazy_property
from torch.nn.functional import pad
from torch.types import _size

from components.distributions.categorical import Discrete
from components.distributions.expanding import Expandable
from components.distributions.tensors import (
    bucketize,
    gather,
    require_increasing,
    searchsorted,
    tiny,
    unless_nan,
)


class Histogram(Expandable):
    r"""A density that is constant in each of K cells.

    .. math:: p(x) = q_k / (e_{k+1} - e_k) \quad\text{for } e_k \le x < e_{k+1}

    Because the width of the cell is divided out, nats compare between resolutions and with any
    other density. `log_prob` reads one index of the distribution of the cell, so that a
    lazy distribution stays lazy.

    Values beyond the outer edges score in the end cells; `cdf` is 0 or 1 there.

    Args:
        cells: Distribution of the index of the cell, batch shape `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Raises:
        ValueError: If `edges` do not make as many cells as the distribution has, or, on a CPU, do
            not increase.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    has_rsample = True

    rows = ("cells",)

    def __init__(self, cells: Discrete, edges: Tensor) -> None:
        if edges.shape != (cells.size + 1,):
            raise ValueError(
                f"Histogram: {cells.size} cells have {cells.size + 1} edges, "
                f"got edges of shape {tuple(edges.shape)}."
            )
        require_increasing(edges, "Histogram: edges")
        self.cells = cells
        self.edges = edges
        super().__init__(cells.batch_shape, validate_args=False)

    @property
    def support(self) -> Constraint:
        """The values that are possible: those between the outer edges."""
        return interval(self.edges[0], self.edges[-1])  # type: ignore[no-untyped-call]  # torch's

    @property
    def widths(self) -> Tensor:
        """Widths of the cells, `[K]`."""
        return self.edges.diff()

    @property
    def midpoints(self) -> Tensor:
        """Midpoints of the cells, `[K]`."""
        return self.edges[:-1] + self.widths / 2

    @property
    def densities(self) -> Tensor:
        """Densities in all cells, `[..., K]`."""
        return self.cells.probs / self.widths

    def index(self, value: Tensor) -> Tensor:
        """Finds the cell of each value, int64 `[...]`: an end cell for values beyond the edges."""
        return bucketize(value, self.edges)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`."""
        index = self.index(value)
        return unless_nan(value, self.cells.log_prob(index) - self.widths.log()[index])

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, piecewise linear, `[...]`."""
        index = self.index(value)
        inside = (value - self.edges[index]) / self.widths[index]
        before = gather(self._cumulative, index)
        return before + gather(self.cells.probs, index) * inside.clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable."""
        index = searchsorted(self._cumulative[..., 1:], value).clamp_max(self.cells.size - 1)
        mass = gather(self.cells.probs, index)
        before = gather(self._cumulative, index)
        inside = (value - before) / mass.clamp_min(tiny(mass))
        return self.edges[index] + self.widths[index] * inside.clamp(0, 1)

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return (self.cells.probs * self.midpoints).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Variance between and within cells, `[...]`."""
        between = (self.midpoints - self.mean.unsqueeze(-1)).square()
        return (self.cells.probs * (between + self.widths.square() / 12)).sum(-1)

    @property
    def mode(self) -> Tensor:
        """Midpoint of the cell of highest density, `[...]`."""
        highest = self.densities.max(-1)
        return unless_nan(highest.values, self.midpoints[highest.indices])

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`."""
        return self.cells.entropy() + (self.cells.probs * self.widths.log()).sum(-1)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, uniform in a cell, without gradient."""
        shape = torch.Size(sample_shape)
        if not self.cells.draws_alone(shape.numel()):
            return super().sample(shape)
        cell = self.cells.sample(shape)
        place = torch.rand(cell.shape, dtype=self.edges.dtype, device=cell.device)
        return self.edges[cell] + place * self.widths[cell]

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, uniform in a cell, differentiable in `probs`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        probs = self.cells.probs
        return self.icdf(torch.rand(shape, dtype=probs.dtype, device=probs.device))

    @lazy_property
    def _cumulative(self) -> Tensor:
        return pad(self.cells.probs.cumsum(-1), (1, 0))
