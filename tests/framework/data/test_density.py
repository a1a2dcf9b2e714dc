"""Synthetic outcomes follow the true distribution; tables are split and scaled without leak."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from components.supports import Interval
from framework.data.density.module import DensityData
from framework.data.density.problems import Table
from framework.tasks.toy_densities import Synthetic
from framework.tasks.toy_densities.processes import Gaussian, SignedBeta, TwoGaussians

PROCESSES = [Gaussian(), TwoGaussians(), SignedBeta()]


def density(process, x, y, z):
    """The distributions as the paper states them, in scipy."""
    match process:
        case Gaussian():
            return scipy.stats.norm(y, 0.1).pdf(z)
        case TwoGaussians():
            return (scipy.stats.norm(x, 0.1).pdf(z) + scipy.stats.norm(y, 0.1).pdf(z)) / 2
        case SignedBeta():
            return scipy.stats.beta(100 * abs(x), 100 * abs(y)).pdf(abs(z)) / 2


def rank(process, x, y, z):
    """Cumulative probability of outcomes under the same distributions."""
    match process:
        case Gaussian():
            return scipy.stats.norm(y, 0.1).cdf(z)
        case TwoGaussians():
            return (scipy.stats.norm(x, 0.1).cdf(z) + scipy.stats.norm(y, 0.1).cdf(z)) / 2
        case SignedBeta():
            absolute = scipy.stats.beta(100 * abs(x), 100 * abs(y)).cdf(abs(z))
            return (1 + np.sign(z) * absolute) / 2


@pytest.mark.parametrize("process", PROCESSES)
def test_truth_is_the_distribution_of_the_paper(process):
    x, y = 0.37, -0.52
    z = np.linspace(-0.99, 0.99, 67)
    distribution = process.truth(torch.tensor([x, y], dtype=torch.float64))
    log_prob = distribution.log_prob(torch.from_numpy(z))
    np.testing.assert_allclose(log_prob.exp(), density(process, x, y, z), rtol=1e-9, atol=1e-150)


@pytest.mark.parametrize("process", PROCESSES)
def test_truth_has_unit_mass_and_its_own_moments(process):
    distribution = process.truth(torch.tensor([[0.3, 0.45], [-0.6, 0.2]], dtype=torch.float64))
    z = torch.linspace(-1.6, 1.6, 200_001, dtype=torch.float64)[:, None]
    p = (
        torch.where(z.abs() < 1, distribution.log_prob(z).exp(), 0)
        if isinstance(process, SignedBeta)
        else distribution.log_prob(z).exp()
    )
    mass, mean = torch.trapezoid(p, z, dim=0), torch.trapezoid(p * z, z, dim=0)
    torch.testing.assert_close(mass, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(distribution.mean, mean, rtol=0, atol=1e-6)
    second = torch.trapezoid(p * z**2, z, dim=0)
    torch.testing.assert_close(distribution.variance, second - mean**2, rtol=0, atol=1e-6)


@pytest.mark.parametrize("process", PROCESSES)
def test_outcomes_are_drawn_from_the_truth(process):
    """The probability integral transform is uniform."""
    features, outcome = process.draw(np.random.default_rng(0), 1000)
    ranks = rank(process, *features.T, outcome)
    assert scipy.stats.kstest(ranks, "uniform").pvalue > 0.01


@pytest.mark.parametrize("process", PROCESSES)
def test_samples_of_the_truth_have_its_moments(process):
    torch.manual_seed(0)
    distribution = process.truth(torch.tensor([0.4, 0.5]).expand(3, 1, 2))
    draws = distribution.sample((20_000,))
    assert draws.shape == (20_000, 3, 1)
    torch.testing.assert_close(draws.mean(0), distribution.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(draws.var(0), distribution.variance, rtol=0.06, atol=0)


def test_features_are_as_in_the_paper():
    for process in (Gaussian(), SignedBeta()):
        x, y = process.draw(np.random.default_rng(0), 2000)[0].T
        assert scipy.stats.kstest((x + 0.8) / 1.6, "uniform").pvalue > 0.01
        assert scipy.stats.kstest((y - x) / 0.1, "norm").pvalue > 0.01
    for v in TwoGaussians().draw(np.random.default_rng(0), 2000)[0].T:
        assert scipy.stats.kstest((v + 0.8) / 1.6, "uniform").pvalue > 0.01


def test_split_of_the_paper():
    """As train_test_split(test_size=0.2, random_state=42) of scikit-learn, which permutes so."""
    data = DensityData(Synthetic(Gaussian(), seed=3))
    features, outcome = Gaussian().draw(np.random.default_rng(3), 5000)
    chosen = np.random.RandomState(42).permutation(5000)[:1000]
    batch = data.dataset("test").__getitems__(list(range(1000)))
    np.testing.assert_array_equal(batch.features, features[chosen].astype(np.float32))
    np.testing.assert_array_equal(batch.target[:, 0], outcome[chosen].astype(np.float32))
    assert len(data.dataset("train")) == 4000
    assert data.spec.support == Interval(-1, 1)
    assert data.spec.features == 2
    assert data.truth(batch).batch_shape == batch.target.shape


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(5, 3, 200), "b": np.arange(200), "c": 7, "y": rng.normal(0, 10, 200)}
    )
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path, frame


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_are_standardized_by_their_training_rows(table, suffix):
    path, frame = table
    path = path.with_suffix(suffix)
    if suffix == ".parquet":
        frame.to_parquet(path)
    data = DensityData(Table(str(path), "y", val=0.2, test=0.3))
    parts = {split: data.dataset(split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [100, 40, 60]
    batches = {name: part.__getitems__(list(range(len(part)))) for name, part in parts.items()}
    train = batches["train"].features
    torch.testing.assert_close(train[:, :2].mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(train[:, :2].std(0, correction=0), torch.ones(2))
    assert (train[:, 2] == 0).all()
    targets = torch.cat([batch.target[:, 0] for batch in batches.values()])
    np.testing.assert_allclose(np.sort(targets), np.sort(frame["y"]), rtol=1e-6)
    support = data.spec.support
    assert (support.low, support.high) == (
        batches["train"].target.min(),
        batches["train"].target.max(),
    )
    assert data.truth(batches["train"]) is None


def test_rows_keep_their_features(table):
    """Column b numbers the rows, so every outcome can be found again by its feature."""
    path, frame = table
    data = DensityData(Table(str(path), "y", ["b"], seed=4, low=-50, high=50))
    train = data.dataset("train").__getitems__(list(range(160)))
    rank = train.features[:, 0].argsort().argsort()
    lookup = {np.float32(y): b for b, y in zip(frame["b"], frame["y"], strict=True)}
    rows = torch.tensor([lookup[np.float32(y)] for y in train.target[:, 0].tolist()])
    assert torch.equal(rows.argsort().argsort(), rank)
    assert data.spec.support == Interval(-50, 50)
    assert data.spec.features == 1


def test_missing_values_are_refused_or_dropped(table):
    path, frame = table
    frame.loc[[3, 8], ["y", "a"]] = np.nan
    frame.loc[20, "y"] = np.inf
    frame.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"column 'y' in row 4 is nan; correct it or set drop"):
        DensityData(Table(str(path), "y")).spec  # noqa: B018
    source = DensityData(Table(str(path), "y", drop_missing=True))
    assert sum(len(source.dataset(split)) for split in ("train", "val", "test")) == 197


def test_tables_that_do_not_fit(table, tmp_path):
    path, frame = table
    frame.assign(word="x").to_csv(tmp_path / "words.csv", index=False)
    (tmp_path / "table.txt").write_text("a,y\n1,2\n")
    frame.head(3).to_csv(tmp_path / "short.csv", index=False)
    for name, target, features, message in [
        ("gone.csv", "y", None, r"Table: path='.*gone.csv' is not a file"),
        ("table.txt", "y", None, "table.txt' is none of .csv, .parquet"),
        ("table.csv", "z", None, r"has no column 'z'; it has a, b, c, y"),
        ("table.csv", "y", ["a", "q"], "has no column 'q'"),
        ("words.csv", "y", None, "column 'word' in row 1 is 'x', which is not a number"),
        ("short.csv", "y", None, "3 rows of .* leave a split empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            DensityData(Table(str(tmp_path / name), target, features)).spec  # noqa: B018
    with pytest.raises(ValueError, match=r"val=0.6 and test=0.4"):
        Table(str(path), "y", val=0.6, test=0.4)
    with pytest.raises(ValueError, match="size=4"):
        Synthetic(Gaussian(), size=4)
