"""Scalings that checkpoints describe and make again."""

from dataclasses import dataclass

import numpy as np
import pytest

from framework.data import LastScaling, MeanScaling, Scaling, StandardScaling


@dataclass(frozen=True)
class Fixed(Scaling):
    scale: float = 2.0

    def fit(self, past, observed):
        return np.zeros((len(past), 1)), np.full((len(past), 1), self.scale)


@pytest.mark.parametrize(
    "scaling",
    [MeanScaling(), StandardScaling(), LastScaling(), Fixed(5.0)],
    ids=lambda each: type(each).__name__,
)
def test_a_description_makes_the_same_scaling(scaling):
    past = np.random.default_rng(0).normal(size=(4, 6)) + 3
    made = Scaling.described(scaling.describe())
    assert type(made) is type(scaling)
    for found, expected in zip(made(past, past > 2), scaling(past, past > 2), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_described_is_one_sentence():
    class Local(MeanScaling):
        pass

    class Option(MeanScaling):
        def __init__(self):
            self.power = 3

    with pytest.raises(ValueError, match="Local cannot be written into a checkpoint"):
        Local().describe()
    with pytest.raises(ValueError, match="Option has options that a checkpoint cannot hold"):
        Option().describe()
    with pytest.raises(ValueError, match=r"The class framework\.Gone cannot be imported"):
        Scaling.described({"class_path": "framework.Gone", "init_args": {}})


def test_the_last_observed_value_is_the_location():
    past = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 0.0, 7.0, 7.0], [0.0, 0.0, 0.0, 0.0]])
    observed = np.array([[1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=bool)
    loc, scale = LastScaling()(past, observed)
    np.testing.assert_array_equal(loc[:, 0], [2.0, 7.0, 0.0])
    np.testing.assert_allclose(scale[:, 0], [np.std([3.0, 1.0, 2.0]), 0.007, 1.0])


@pytest.mark.parametrize("level", [0.0, 1e6, 1e9, -1e10])
def test_a_small_spread_around_a_large_level_is_one(level):
    """Values in float64 tell it from a constant; a meter reads so."""
    past = level + (np.arange(60) % 7 - 3.0)[None]
    loc, scale = LastScaling()(past, np.ones_like(past, dtype=bool), np.float64)
    assert loc == past[:, -1:]
    np.testing.assert_allclose(scale, np.std(past - level), rtol=1e-4)


def test_rounding_of_a_constant_is_no_spread():
    past = np.full((1, 90), 0.1) * 3e6
    _, scale = LastScaling()(past, np.ones_like(past, dtype=bool), np.float64)
    np.testing.assert_allclose(scale, 0.1 * 3e3)
