"""One of each distribution, in float64, for tests that hold for all of them."""

from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions import (
    Affine,
    Categorical,
    CategoricalWithAtoms,
    CategoricalWithSpecials,
    Censored,
    Discrete,
    ErfWarp,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    Histogram,
    LinearCategorical,
    Mixture,
    Quantiles,
    StudentT,
    TanhWarp,
    TransformedFourier,
    WithAtoms,
)
from components.distributions.scores import crps
from components.layers.readout import Readout
from components.testing import distributions as testing

EDGES = (-2.0, -1.5, -0.7, -0.5, 0.3, 0.9, 1.0, 1.8, 2.5)
CIRCLE = (*(2 * EDGES[0] - edge for edge in reversed(EDGES[1:])), *EDGES)
LEVELS = (0.05, 0.2, 0.5, 0.7, 0.95)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def tensor(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def linear_categorical(shape: tuple[int, ...], dtype: torch.dtype) -> LinearCategorical:
    readout = Readout(4, 8, bias=False).to(dtype).requires_grad_(False)
    readout.weight.copy_(randn(8, 4, seed=1, dtype=dtype))
    return LinearCategorical(randn(*shape, 4, dtype=dtype), readout, 8)


# Every distribution as a function of a shape of rows and a dtype.
DISCRETE = {
    "Categorical": lambda shape, dtype: Categorical(randn(*shape, 8, dtype=dtype)),
    "LinearCategorical": linear_categorical,
    "FourierCategorical": lambda shape, dtype: FourierCategorical(
        randn(*shape, 12, dtype=dtype), 8
    ),
    "FourierCategorical, eps": lambda shape, dtype: FourierCategorical(
        randn(*shape, 6, dtype=dtype), 8, 0.01
    ),
    "FourierCategorical, folded": lambda shape, dtype: FourierCategorical(
        randn(*shape, 44, dtype=dtype), 8
    ),
    "FourierHistogram": lambda shape, dtype: FourierHistogram(
        randn(*shape, 8, dtype=dtype), EDGES
    ),
    "FourierHistogram, eps": lambda shape, dtype: FourierHistogram(
        randn(*shape, 10, dtype=dtype), EDGES, 0.01
    ),
    "CategoricalWithSpecials": lambda shape, dtype: CategoricalWithSpecials(
        randn(*shape, 3, seed=1, dtype=dtype),
        FourierCategorical(randn(*shape, 6, dtype=dtype), 6),
    ),
    "EvenFourierCells": lambda shape, dtype: EvenFourierCells(
        FourierCategorical(randn(*shape, 12, dtype=dtype), 16)
    ),
    "EvenFourierCells, exact": lambda shape, dtype: EvenFourierCells(
        FourierHistogram(randn(*shape, 8, dtype=dtype), CIRCLE, 0.01)
    ),
    "CategoricalWithAtoms": lambda shape, dtype: CategoricalWithAtoms(
        randn(*shape, 4, seed=1, dtype=dtype),
        FourierCategorical(randn(*shape, 6, dtype=dtype), 8),
        (0, 3, 7),
    ),
    "FourierCategorical, zero": lambda shape, dtype: FourierCategorical(
        torch.zeros(*shape, 6, dtype=dtype), 8
    ),
}


def histogram(cells: str, shape: tuple[int, ...], dtype: torch.dtype) -> Histogram:
    return Histogram(DISCRETE[cells](shape, dtype), tensor(*EDGES))


def with_atoms(base: str, shape: tuple[int, ...], dtype: torch.dtype) -> WithAtoms:
    return WithAtoms(
        REAL[base](shape, dtype), randn(*shape, 4, seed=3, dtype=dtype), (-1.0, 0.25, 3.0)
    )


def censored(base: str, shape: tuple[int, ...], dtype: torch.dtype) -> Censored:
    return Censored(REAL[base](shape, dtype), -0.75, 1.5)


def affine(base: str, shape: tuple[int, ...], dtype: torch.dtype) -> Affine:
    loc, scale = tensor(0.5, 2.5, dtype=dtype)
    return Affine(REAL[base](shape, dtype), loc, scale)


REAL = {
    **{f"Histogram({name})": partial(histogram, name) for name in DISCRETE},
    "FourierDensity": lambda shape, dtype: FourierDensity(randn(*shape, 14, dtype=dtype), -1, 3),
    "FourierDensity, zero": lambda shape, dtype: FourierDensity(
        torch.zeros(*shape, 14, dtype=dtype), -1, 3
    ),
    "EvenFourierDensity": lambda shape, dtype: EvenFourierDensity(
        randn(*shape, 14, dtype=dtype), -1, 3
    ),
    "TransformedFourier, tanh": lambda shape, dtype: TransformedFourier(
        randn(*shape, 14, dtype=dtype), TanhWarp(), 0.5, 2.0
    ),
    "TransformedFourier, erf": lambda shape, dtype: TransformedFourier(
        randn(*shape, 14, dtype=dtype), ErfWarp(), 0.5, 2.0
    ),
    "StudentT": lambda shape, dtype: StudentT(
        4.5 + randn(*shape, dtype=dtype).abs(),
        randn(*shape, seed=1, dtype=dtype),
        randn(*shape, seed=2, dtype=dtype).exp() / 3,
    ),
    "Mixture": lambda shape, dtype: Mixture(
        randn(*shape, 3, dtype=dtype),
        randn(*shape, 3, seed=1, dtype=dtype),
        randn(*shape, 3, seed=2, dtype=dtype).exp() / 3,
    ),
    "Quantiles": lambda shape, dtype: Quantiles(
        randn(*shape, 5, dtype=dtype).exp().cumsum(-1) - 2, tensor(*LEVELS)
    ),
    "Normal": lambda shape, dtype: Normal(
        randn(*shape, dtype=dtype),
        randn(*shape, seed=1, dtype=dtype).exp(),
        validate_args=False,
    ),
}
MIXED = {
    **{
        f"WithAtoms({name})": partial(with_atoms, name)
        for name in ("EvenFourierDensity", "Normal", "TransformedFourier, tanh")
    },
    **{
        f"Censored({name})": partial(censored, name)
        for name in ("Normal", "StudentT", "Mixture", "Quantiles")
    },
}
REAL |= {
    f"Affine({name})": partial(affine, name)
    for name in ("Histogram(Categorical)", "FourierDensity", "StudentT", "Quantiles", "Mixture")
}


def discrete(name: str, *shape: int, dtype: torch.dtype = torch.float64) -> Discrete:
    return DISCRETE[name](shape, dtype)


def real(name: str, *shape: int, dtype: torch.dtype = torch.float64) -> Distribution:
    return (REAL | MIXED)[name](shape, dtype)


def statistics(distribution: Distribution, target: Tensor) -> list[Tensor]:
    """Scores a target, and computes the statistics that are one number of each row."""
    scores = [distribution.log_prob(target), distribution.cdf(target), crps(distribution, target)]
    return [*scores, distribution.entropy(), distribution.mean, distribution.variance]


def integrate(function, distribution: Distribution, *points: float) -> Tensor:
    """Integrates over a distribution of these tests, whose jumps are known."""
    return testing.integrate(function, distribution, *points, jumps=jumps(distribution))


def jumps(distribution: Distribution) -> list[float]:
    """Returns where the density jumps."""
    if isinstance(distribution, Affine):
        inner = torch.tensor(jumps(distribution.base), dtype=torch.float64)
        return (distribution.loc + distribution.scale * inner).tolist()
    if isinstance(distribution, WithAtoms | Censored):
        return [*distribution.atoms.tolist(), *jumps(distribution.base)]
    if isinstance(distribution, Histogram):
        return distribution.edges.tolist()
    return distribution.values.flatten().tolist() if isinstance(distribution, Quantiles) else []
