"""Mean and standard deviation of the smoothness of many predictions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torchmetrics import Metric

from components.metrics.smoothness import smoothness, smoothness_of


class Smoothness(Metric):
    """Mean and standard deviation of the smoothness of predicted probabilities of ordered cells.

    Distributions are weighted the same in whichever batch or process they are: states are sums.
    Values are comparable only between distributions over as many cells, and smaller is not
    better: the true distribution may be rough.

    The published numbers pool distributions in three ways. For synthetic densities, one metric
    sees the test examples of all seeds. For games, it sees what was predicted in the episodes of
    one seed, with ordered actions. For time series there is a metric for each data set; their
    means are averaged, and so are their variances before the root is taken.

    Example:
        >>> metric = Smoothness()
        >>> metric.update(torch.tensor([[0.2, 0.2, 0.2, 0.2, 0.2], [0, 1, 0, 0, 0]]))
        >>> {name: round(value.item(), 3) for name, value in metric.compute().items()}
        {'mean': 0.393, 'std': 0.393}

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), section 4 and appendix B.
    """

    full_state_update = False
    higher_is_better = None
    weight: Tensor
    total: Tensor
    squares: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "total", "squares"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor | Distribution, weight: Tensor | None = None) -> None:
        """Adds distributions.

        Args:
            prediction: Probabilities `[..., m]`, or a distribution with cells of batch shape
                `[...]`.
            weight: Weight of each, `[...]`, at least 0; all equal if not given.

        Raises:
            TypeError: If a distribution has no cells.
        """
        match prediction:
            case Tensor():
                values = smoothness(prediction)
            case distribution:
                values = smoothness_of(distribution)
        values = values.detach().to(self.total)
        weight = torch.ones_like(values) if weight is None else weight.to(self.total)
        values = torch.where(weight > 0, values, 0)
        self.weight += weight.sum()
        self.total += (weight * values).sum()
        self.squares += (weight * values.square()).sum()

    def compute(self) -> dict[str, Tensor]:
        """Returns `mean` and `std` (of the population), `nan` if there was no distribution."""
        mean = self.total / self.weight
        variance = (self.squares / self.weight - mean.square()).clamp_min(0)
        return {"mean": mean, "std": variance.sqrt()}
