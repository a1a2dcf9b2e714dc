"""Pretraining windows against loops over the series, benchmark loaders against the sets."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from components.data import Benchmark
from components.supports import Interval
from framework.data import Arrays, Competition, FppTable, LongTable
from framework.data.series.module import SeriesData
from framework.papers.chronos import KernelSynth, SeriesCorpus, TSMixup, ZeroShotData
from framework.papers.chronos.mixup import MixingPool


def ramps(count, steps, offset=0.0):
    """Series whose values encode their number (thousands) and the step (the rest)."""
    return Arrays([1000 * (k + 1) + np.arange(steps) + offset for k in range(count)])


def data(corpora=None, **options):
    some = {"a": SeriesCorpus(ramps(20, 90), 0.9), "b": SeriesCorpus(ramps(20, 60, 0.5), 0.1)}
    tested = {"m1": Competition("M1", "yearly"), "short": Competition("M1", "quarterly")}
    settings = {"context": 16, "horizon": 8, "shortest_past": 10, "batch_size": 4, "drop": 0.0}
    return ZeroShotData(corpora or some, tested, **{**settings, **options})


def windows(dataset, count):
    return dataset.__getitems__(list(range(count)))


def test_windows_lie_in_one_series_behind_enough_past():
    batch = windows(data().dataset("train"), 2000)
    cuts = {60: set(), 90: set()}
    for past, observed, target, weight in zip(
        batch.past, batch.observed, batch.target, batch.weight, strict=True
    ):
        known = torch.cat([past[observed], target]).double()
        assert (known.diff() == 1).all()
        assert (weight == 1).all()
        assert torch.equal(observed.cumsum(0) > 0, observed)  # padded on the left alone
        cut = int(target[0] % 1000)
        assert observed.sum() == min(cut, 16)
        cuts[60 if target[0] % 1 else 90].add(cut)
    assert cuts[90] == set(range(10, 83))
    assert cuts[60] <= set(range(10, 53))


def test_series_are_drawn_by_their_weights_and_some_are_held_out():
    module = data()
    train, val = windows(module.dataset("train"), 2000), windows(module.dataset("val"), 500)
    assert (train.target[:, 0] % 1 == 0).float().mean().item() == pytest.approx(0.9, abs=0.02)
    seen, held = (set((batch.target[:, 0] // 1000).int().tolist()) for batch in (train, val))
    assert seen == set(range(1, 21)) - {10, 20}
    assert held == {10, 20}


def test_short_series_are_half_past():
    batch = windows(data({"a": SeriesCorpus(ramps(20, 11))}).dataset("train"), 50)
    assert (batch.observed.sum(1) == 5).all()
    assert (batch.weight.sum(1) == 6).all()


def test_a_window_is_a_function_of_seed_and_number():
    one, again, other = (data(seed=seed).dataset("train") for seed in (1, 1, 2))
    order = [5, 70_000_000_000, 3]
    whole = one.__getitems__(order)
    assert all(torch.equal(a, b) for a, b in zip(whole, again.__getitems__(order), strict=True))
    assert torch.equal(one.__getitems__([3]).past[0], whole.past[2])
    assert not torch.equal(windows(one, 9).target, windows(other, 9).target)


def test_training_reads_on_where_it_was_left(monkeypatch):
    def batches(start, count):
        module = data(num_workers=0)
        monkeypatch.setattr(module, "_step", lambda: start)
        return list(itertools.islice(module.train_dataloader(), count))

    whole, rest = batches(0, 5), batches(3, 2)
    for a, b in zip(whole[3:], rest, strict=True):
        assert torch.equal(a.past, b.past)
    assert not torch.equal(whole[0].past, whole[1].past)


def test_a_fraction_of_values_is_dropped_before_they_are_scaled():
    batch = windows(data(drop=0.4).dataset("train"), 1000)
    full = windows(data().dataset("train"), 1000)
    lost = 1 - torch.cat([batch.observed.float(), batch.weight], 1).mean(1)
    padded = 1 - torch.cat([full.observed.float(), full.weight], 1).mean(1)
    rate = (lost - padded) / (1 - padded)
    assert rate.mean().item() == pytest.approx(0.2, abs=0.02)  # uniform in [0, .4)
    assert rate.std().item() > 0.1
    assert (batch.past[~batch.observed] == 0).all()
    size = batch.past.abs().sum(1) / batch.observed.sum(1)
    torch.testing.assert_close(batch.scale[:, 0], size)
    assert windows(data(drop=0.4).dataset("val"), 20).weight.min() == 1


def test_each_benchmark_has_a_loader_with_its_own_horizon():
    module = data(limit=5)
    loaders = module.test_dataloader()
    assert [part.name for part in module.spec.benchmarks] == ["m1", "short"]
    for loader, (name, part) in zip(loaders, [("yearly", 6), ("quarterly", 8)], strict=True):
        (past, target, error) = (
            torch.cat([getattr(batch, field) for batch in loader])
            for field in ("past", "target", "error")
        )
        alone = SeriesData(Competition("M1", name), context=16).dataset("test")
        known = alone.__getitems__([0, 1, 2, 3, 4])
        assert target.shape == (5, part)
        assert torch.equal(past, known.past)
        assert torch.equal(target, known.target)
        assert torch.equal(error, known.error)


def test_spec_tells_how_the_naive_forecast_scores():
    spec = data().spec
    assert (spec.support, spec.context, spec.horizon, spec.season) == (Interval(-15, 15), 16, 8, 1)
    assert spec.benchmarks == (
        Benchmark("m1", pytest.approx(4.89432, rel=3e-4), pytest.approx(0.20930, rel=3e-4)),
        Benchmark("short", pytest.approx(2.07754, rel=3e-4), pytest.approx(0.14950, rel=3e-4)),
    )


def test_the_eight_sets_are_the_default():
    module = ZeroShotData({"a": SeriesCorpus(KernelSynth(number=10, length=64))})
    assert len(module.benchmarks) == 8
    assert "tourism_yearly" not in module.benchmarks
    assert windows(module.dataset("predict"), 3).target.shape == (3, 18)


def test_a_worker_gets_the_places_of_the_values():
    dataset = data({"a": SeriesCorpus(ramps(20, 20_000))}).dataset("train")
    stored = pickle.dumps(dataset)
    assert len(stored) < 5_000
    again = windows(pickle.loads(stored), 3)
    assert torch.equal(again.past, windows(dataset, 3).past)


def test_a_corpus_that_holds_a_benchmark_is_refused():
    tested = {"tourism_quarterly": Competition("Tourism", "quarterly")}
    mixtures = TSMixup([FppTable("aus_arrivals")], number=20)
    module = ZeroShotData({"a": SeriesCorpus(mixtures)}, tested)
    assert module.spec.benchmarks[0].name == "tourism_quarterly"
    with pytest.raises(ValueError, match="4 segments of FppTable are ends"):
        module.dataset("train")
    direct = ZeroShotData({"a": SeriesCorpus(tested["tourism_quarterly"])}, tested)
    with pytest.raises(ValueError, match="of Competition are ends"):
        direct.dataset("train")


@pytest.mark.parametrize(
    ("options", "split", "message"),
    [
        (
            {"horizon": 4},
            "m1",
            "Competition has a horizon of 6 steps, more than horizon=4; set horizon=6",
        ),
        ({"context": 0}, "val", "ZeroShotData: context=0 is too small"),
        ({"limit": 0}, "val", "ZeroShotData: limit=0 is too small"),
        ({"drop": 1.0}, "val", "ZeroShotData: drop=1.0 is a fraction"),
        (
            {"corpora": {"a": SeriesCorpus(ramps(9, 30))}},
            "val",
            "Arrays has 9 series, and every 10th",
        ),
    ],
)
def test_mistakes_get_one_sentence(options, split, message):
    with pytest.raises(ValueError, match=message):
        data(**options).dataset(split)


def test_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="no corpora to train on"):
        ZeroShotData({})
    with pytest.raises(ValueError, match=r"weight=0.0 draws no window"):
        SeriesCorpus(ramps(1, 9), 0.0)


def test_simple_forecasts_are_scored_on_what_is_evaluated():
    module = data()
    metrics = {"mase/m1", "mase"}
    found = module.baselines("test", [1, 9e9], metrics).scores
    naive = {part.name: part.mase for part in module.spec.benchmarks}
    assert found["seasonal naive"]["mase/short"] == pytest.approx(naive["short"])
    few = next(iter(module.test_dataloader()[0]))
    expected = (few.target - few.past[:, -1:]).abs().mean()
    assert found["naive"]["mae/m1"] == pytest.approx(expected.item(), rel=1e-5)
    scores = module.baselines("val", [9e9], metrics).scores
    assert scores["naive"]["mae"] == pytest.approx(4.5, rel=0.2), "of ramps, but for short ones"
    assert scores["drift"]["mae"] == pytest.approx(0, abs=1e-3)


def test_forecasts_by_the_context_alone_are_its_mean_and_its_deciles():
    module = data()
    scores = module.baselines("test", [1, 9e9], {"mase/m1"}).scores
    few = next(iter(module.test_dataloader()[0]))
    deciles, errors = [], []
    for past, observed, target in zip(few.past, few.observed, few.target, strict=True):
        values = past[observed].double().numpy()
        each = np.quantile(values, np.arange(1, 10) / 10)
        gaps = target.double().numpy()[:, None] - each
        pinball = np.maximum(np.arange(1, 10) / 10 * gaps, (np.arange(1, 10) / 10 - 1) * gaps)
        deciles.append(2 * pinball.mean(1).sum())
        errors.append(np.abs(target.double().numpy() - values.mean()).mean())
    expected = sum(deciles) / few.target.abs().sum().item()
    assert scores["context deciles"]["wql/m1"] == pytest.approx(expected)
    assert scores["context mean"]["mae/m1"] == pytest.approx(np.mean(errors))


def test_simple_forecasts_are_compared_with_seasonal_naive_over_the_sets():
    module = data()
    scores = module.baselines("test", [9e9, 9e9], {"mase/m1"}).scores
    relative = {name: (s["mase_relative"], s["wql_relative"]) for name, s in scores.items()}
    assert relative["seasonal naive"] == pytest.approx((1.0, 1.0))
    ratios = [scores["drift"][f"mase/{p.name}"] / p.mase for p in module.spec.benchmarks]
    assert relative["drift"][0] == pytest.approx(np.prod(ratios) ** (1 / len(ratios)))


def test_series_with_covariates_are_refused():
    """Before any of them is read."""
    source = LongTable("none.csv", known=["price"], static=["size"])
    sentence = r"reads no covariates; drop known, past and static \(price, size\), or use Series"
    for options in ({"corpora": {"mine": SeriesCorpus(source)}}, {"benchmarks": {"mine": source}}):
        corpora = {"generated": SeriesCorpus(Arrays([[1.0, 2.0]]))}
        with pytest.raises(ValueError, match=f"ZeroShotData {sentence}"):
            ZeroShotData(**{"corpora": corpora, **options})
    with pytest.raises(ValueError, match=f"TSMixup {sentence}"):
        MixingPool.of(source)
