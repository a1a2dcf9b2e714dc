import math

import numpy as np
import pytest
import torch

from components.distributions import Affine, FourierCategorical, FourierDensity, Histogram
from components.metrics.smoothness import smoothness
from framework.papers.fourier import Smoothness
from tests.ranks import run_ranks


def distributions(count: int) -> torch.Tensor:
    noise = torch.randn(count, 18, generator=torch.Generator().manual_seed(count))
    return (2 * noise).double().softmax(-1)


def expected(probabilities: torch.Tensor) -> dict[str, float]:
    values = smoothness(probabilities).numpy()
    return {"mean": np.mean(values), "std": np.std(values)}


def test_mean_and_deviation_are_those_of_all_distributions():
    metric = Smoothness()
    for part in distributions(30).split((1, 12, 17)):
        metric.update(part.unsqueeze(0))
    assert metric.compute() == pytest.approx(expected(distributions(30)), rel=1e-12)
    metric.reset()
    metric.update(distributions(5))
    assert metric.compute() == pytest.approx(expected(distributions(5)), rel=1e-12)


def test_distributions_are_read_through_their_units():
    torch.manual_seed(0)
    cells = FourierCategorical(torch.randn(6, 10, dtype=torch.float64), 18)
    distribution = Affine(
        Histogram(cells, torch.linspace(0, 1, 19)), torch.tensor(1.0), torch.tensor(2.0)
    )
    metric = Smoothness()
    metric.update(distribution)
    assert metric.compute() == pytest.approx(expected(cells.probs), rel=1e-12)
    with pytest.raises(TypeError, match="smoothness of a FourierDensity is unknown"):
        metric.update(FourierDensity(torch.ones(4), 0, 1))


def test_weights_count_distributions_and_padding_may_be_anything():
    probabilities = distributions(4)
    repeated = probabilities[[0, 2, 2, 2, 3]]
    probabilities[1] = math.nan
    metric = Smoothness()
    metric.update(probabilities, torch.tensor([1.0, 0.0, 3.0, 1.0]))
    assert metric.compute() == pytest.approx(expected(repeated), rel=1e-12)


def test_without_distributions_there_is_no_mean():
    metric = Smoothness()
    metric.update(distributions(3), torch.zeros(3))
    assert all(value.isnan() for value in metric.compute().values())


def test_ranks_pool_their_distributions():
    def rank() -> dict[str, torch.Tensor]:
        torch.distributed.init_process_group("gloo")
        metric = Smoothness()
        share = slice(0, 11) if torch.distributed.get_rank() else slice(11, 30)
        metric.update(distributions(30)[share])
        found = metric.compute()
        torch.distributed.destroy_process_group()
        return found

    for found in run_ranks(rank, 2):
        assert {k: float(v) for k, v in found.items()} == pytest.approx(
            expected(distributions(30)), rel=1e-12
        )
