"""Signals are the functions of the paper; their data lie in the domain, or all around it."""

import numpy as np
import pytest
import scipy.stats
import torch

from components.supports import Interval
from framework.data import DensityData
from framework.tasks.toy_densities import (
    MixedPeriods,
    MixedProducts,
    ModulatedAmplitude,
    ModulatedPhase,
    Modulo,
    Periodic,
    Quotient,
    Sawtooth,
    Sine,
)

TURN = 2 * np.pi
FORMULAS = [  # signal, the same in numpy, its period if there is one
    (Sine(), np.sin, TURN),
    (Modulo(5.0), lambda x: x - 5 * np.floor(x / 5), 5.0),
    (Modulo(0.75), lambda x: np.mod(x, 0.75), 0.75),
    (Sawtooth(2), lambda x: np.sin(x) + np.sin(2 * x) / 2, TURN),
    (
        MixedPeriods(),
        lambda x: np.exp(np.sin(np.pi * x) ** 2 + np.cos(x) + np.mod(x, 3) - 1),
        None,
    ),
    (ModulatedAmplitude(), lambda x: (1 + np.sin(x)) * np.sin(2 * x), TURN),
    (ModulatedPhase(), lambda x: np.sin(x + np.sin(2 * x)), TURN),
    (
        MixedProducts(),
        lambda x: np.sin(x) * np.cos(2 * x) ** 2 + np.cos(x) * np.sin(3 * x) ** 2,
        TURN,
    ),
    (Quotient(), lambda x: np.exp(np.sin(x)) / (1 + np.cos(2 * x) ** 2), TURN),
]


@pytest.mark.parametrize(
    ("signal", "formula", "period"), FORMULAS, ids=lambda value: type(value).__name__
)
def test_signals_are_their_formulas_and_repeat(signal, formula, period):
    x = np.linspace(-20.03, 20.07, 801)
    np.testing.assert_allclose(signal(torch.from_numpy(x)), formula(x), rtol=0, atol=1e-12)
    if period is not None:
        later = signal(torch.from_numpy(x + 3 * period))
        np.testing.assert_allclose(later, formula(x), rtol=0, atol=1e-10)


def test_variances_are_those_of_who_predicts_the_mean():
    """1/2, and period² / 12: over whole periods."""
    x = torch.linspace(0, 1, 100_001, dtype=torch.float64)[:-1]
    assert Sine()(TURN * x).var(correction=0).item() == pytest.approx(0.5, rel=1e-9)
    assert Modulo(5)(10 * x).var(correction=0).item() == pytest.approx(25 / 12, rel=1e-6)


def test_a_saw_tooth_of_many_harmonics_is_a_straight_line():
    """The series of (pi - x) / 2 on (0, 2 pi)."""
    x = torch.linspace(1.0, 5.0, 9, dtype=torch.float64)
    torch.testing.assert_close(Sawtooth(5000)(x), (torch.pi - x) / 2, rtol=0, atol=1e-3)


def served(data, split):
    split = data.dataset(split)
    return split.__getitems__(list(range(len(split))))


def test_the_test_is_the_ring_around_the_domain():
    data = DensityData(Periodic(Modulo(5), radius=20.0, size=4000, held_out=1500))
    for split, size in (("train", 4000), ("val", 1500), ("test", 1500)):
        batch = served(data, split)
        x = batch.features[:, 0].double().numpy()
        assert len(x) == size
        folded = (np.abs(x) - 20) * np.sign(x) if split == "test" else x
        assert scipy.stats.kstest(folded, "uniform", args=(-20, 40)).pvalue > 0.01
        assert (np.abs(x) > 20).all() == (split == "test")
        np.testing.assert_allclose(batch.target[:, 0], np.mod(x, 5), rtol=0, atol=1e-4)
    assert not np.isin(served(data, "val").features, served(data, "train").features).any()


def test_the_seed_draws_the_points():
    first, again, other = (
        served(DensityData(Periodic(Sine(), 3.0, 50, 10, seed=seed)), "train").features
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_the_data_tell_of_themselves():
    data = DensityData(Periodic(Sine(), radius=18.85))
    train = served(data, "train")
    assert data.spec.features == 1
    assert data.spec.support == Interval(train.target.min().item(), train.target.max().item())
    assert data.spec.support.low == pytest.approx(-1, abs=1e-5)
    assert data.truth(train) is None
    assert torch.equal(data.mean(train), train.features.sin())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Periodic(Sine(), radius=0.0), "radius=0.0"),
        (lambda: Periodic(Sine(), 1.0, size=0), "size=0"),
        (lambda: Periodic(Sine(), 1.0, held_out=0), "held_out=0"),
        (lambda: Modulo(-5), "Modulo: period=-5 is not positive"),
        (lambda: Sawtooth(0), "Sawtooth: harmonics=0"),
    ],
)
def test_nothing_to_learn_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()
