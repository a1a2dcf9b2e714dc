"""Predictions of every kind that a head makes, and targets for them."""

import torch
from torch.distributions import Independent, Normal

from components.distributions import (
    Affine,
    Categorical,
    CategoricalWithAtoms,
    CategoricalWithSpecials,
    Censored,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    Histogram,
    Mixture,
    Quantiles,
    StudentT,
    TanhWarp,
    TransformedFourier,
    WithAtoms,
)

B, T, A, K = 2, 3, 2, 6


EDGES = (0.0, 0.1, 0.3, 0.5, 0.6, 0.8, 1.0)


def _histogram(cells):
    return Histogram(cells, torch.tensor(EDGES))


def _quantiles(raw):
    levels = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.8, 0.9])
    return Quantiles(raw.sigmoid().cumsum(-1) / 6, levels)


TOKENS = {
    "categorical": Categorical,
    "fourier_categorical": lambda raw: FourierCategorical(raw, K),
    "categorical_with_specials": lambda raw: CategoricalWithSpecials(
        raw[..., :3], FourierCategorical(raw[..., 2:], K - 2)
    ),
}
REALS = {
    "histogram": lambda raw: _histogram(Categorical(raw)),
    "fourier_histogram": lambda raw: _histogram(FourierCategorical(raw, K)),
    "masses_histogram": lambda raw: _histogram(FourierHistogram(raw, EDGES)),
    "even_histogram_with_atoms": lambda raw: _histogram(
        CategoricalWithAtoms(
            raw[..., :3], EvenFourierCells(FourierCategorical(raw[..., 2:], 2 * K)), (0, K - 1)
        )
    ),
    "even_fourier_density": lambda raw: EvenFourierDensity(raw, 0.0, 1.0),
    "fourier_density": lambda raw: FourierDensity(raw, 0.0, 1.0),
    "transformed_fourier": lambda raw: TransformedFourier(raw, TanhWarp(), 0.5, 2.0),
    "normal": lambda raw: Normal(raw[..., 0], raw[..., 1].exp(), validate_args=False),
    "student": lambda raw: StudentT(3 + raw[..., 0].exp(), raw[..., 1], raw[..., 2].exp()),
    "mixture": lambda raw: Mixture(raw[..., :2], raw[..., 2:4], raw[..., 4:].exp()),
    "quantiles": _quantiles,
}
MIXED = {
    "with_atoms": lambda raw: WithAtoms(
        EvenFourierDensity(raw[..., 2:], 0.0, 1.0), raw[..., :3], (0.0, 1.0)
    ),
    "censored": lambda raw: Censored(REALS["normal"](raw), 0.0, 1.0),
}
VECTORS = {
    f"vector_{name}": lambda raw, make=make: Independent(make(raw), 1, validate_args=False)
    for name, make in (REALS | MIXED).items()
}


def _moved(distribution):
    return Affine(distribution, torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.5], [3.0]]))


MOVED = {f"moved_{name}": lambda raw, make=make: _moved(make(raw)) for name, make in REALS.items()}
PREDICTIONS = TOKENS | REALS | MIXED | VECTORS | MOVED


def raw_for(name):
    """Raw parameters of the distribution of a name, with gradient."""
    shape = (B, T, A, K) if name.startswith("vector") else (B, T, K)
    return torch.randn(shape, dtype=torch.float32, requires_grad=True)


def target_for(name):
    """Outcomes `[B, T]` or, of vectors, `[B, T, A]`."""
    if name in TOKENS:
        return torch.randint(K, (B, T))
    return torch.rand((B, T, A) if name.startswith("vector") else (B, T))
