"""The forecaster against loops over series, with real parts."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy

from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.data import Benchmark, SeriesBatch, SeriesSpec
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import MixtureHead, NormalHead, StudentTHead
from components.heads.quantile import QuantileHead
from components.metrics.forecasting import LEVELS, score
from components.metrics.smoothness import smoothness
from components.stems import SeriesStem
from components.supports import Interval
from framework.evaluation.forecasting import Paths
from framework.modules import Forecaster
from framework.modules.weighted_means import WeightedMeans
from tests.framework.modules.parts import FixedData, options, train, trainer
from tests.ranks import run_ranks

SPEC = SeriesSpec(Interval(-8.0, 8.0), context=12, horizon=4, season=3)
BACKBONES = [partial(kind, dim=16, depth=1, heads=2) for kind in (Decoder, EncoderDecoder)]


def batch():
    generator = torch.Generator().manual_seed(4)
    values = torch.randn(5, 16, generator=generator).cumsum(1) * 20 + 300
    weight = torch.ones(5, 4)
    weight[1, 2:] = 0
    weight[3, 0] = 0
    observed = torch.ones(5, 12, dtype=torch.bool)
    observed[2, :5] = False
    past = torch.where(observed, values[:, :12], 0.0)
    loc = values[:, :12].mean(1, keepdim=True)
    error = torch.rand(5, 1, generator=generator) * 30
    error[4] = 0  # a constant past has no scale
    return SeriesBatch(
        past, observed, loc, torch.full((5, 1), 25.0), error, values[:, 12:], weight
    )


def model(head=NormalHead, backbone=BACKBONES[0], spec=SPEC, **changes):
    return Forecaster(**options(spec, SeriesStem, head, backbone), **changes)


class SharedHead(NormalHead):
    """One distribution for all series, which the scale of each would hide."""

    def forward(self, hidden):
        return super().forward(hidden.mean(0, keepdim=True))


def test_a_prediction_is_checked_before_it_is_scaled():
    forecaster = model(SharedHead)
    forecaster.configure_model()
    with pytest.raises(ValueError, match=r"SharedHead .* batch_shape \[1, 4\] .* \[5, 4\] and"):
        forecaster(batch())


def test_scores_equal_loops():
    known = batch()
    quantiles = torch.randn(5, 4, 9, dtype=torch.float64).sort(-1).values * 40 + 300
    ratios, losses, size, inside, count = [], 0.0, 0.0, 0.0, 0.0
    scaled, missed = [], []
    for k in range(5):
        errors = []
        for h in range(4):
            y = known.target[k, h].item()
            if known.weight[k, h] == 0:
                continue
            q = quantiles[k, h].tolist()
            errors.append(abs(y - q[4]))
            missed.append(errors[-1])
            losses += (
                2
                * sum(max(t * (y - v), (t - 1) * (y - v)) for t, v in zip(LEVELS, q, strict=True))
                / 9
            )
            size += abs(y)
            inside += q[0] <= y <= q[8]
            count += 1
        if known.error[k] > 0:
            ratios.append(np.mean(errors) / known.error[k].item())
            scaled += [error / known.error[k].item() for error in errors]
    scores = {name: n.sum() / d.sum() for name, (n, d) in score(quantiles, known).items()}
    assert scores["mase"].item() == pytest.approx(np.mean(ratios), rel=1e-6)
    assert scores["mase_pooled"].item() == pytest.approx(np.mean(scaled), rel=1e-6)
    assert scores["mae"].item() == pytest.approx(np.mean(missed), rel=1e-6)
    assert scores["wql"].item() == pytest.approx(losses / size, rel=1e-6)
    assert scores["coverage_80"].item() == pytest.approx(inside / count)


def test_missing_targets_are_not_scored():
    known = batch()
    quantiles = torch.randn(5, 4, 9).sort(-1).values * 40 + 300
    missing = torch.where(known.weight > 0, known.target, torch.nan)
    assert missing.isnan().sum() == 3
    for one, other in zip(
        score(quantiles, known).values(),
        score(quantiles, known._replace(target=missing)).values(),
        strict=True,
    ):
        for there, here in zip(one, other, strict=True):
            torch.testing.assert_close(there.sum(), here.sum())


def test_scores_do_not_depend_on_the_division_into_batches():
    known = batch()
    known.target[0] = 0  # a size of nothing, but an error
    quantiles = torch.randn(5, 4, 9, dtype=torch.float64).sort(-1).values * 40 + 300
    whole = score(quantiles, known)
    parts = [
        score(quantiles[rows], SeriesBatch(*(field[rows] for field in known)))
        for rows in (slice(0, 1), slice(1, 5))
    ]
    tally = WeightedMeans()
    for name, (numerator, denominator) in whole.items():
        for part in parts:
            tally.add_ratio(name, *part[name])
        expected = float(numerator.sum() / denominator.sum())
        assert tally.means(torch.device("cpu")) == {name: pytest.approx(expected, rel=1e-6)}


def test_nats_are_in_the_units_of_the_series():
    """Of values in another unit the density is smaller by the factor between the units."""
    module = model()
    module.configure_model()
    known = batch()
    thousandth = known._replace(
        **{k: getattr(known, k) * 1000 for k in ("past", "loc", "scale", "error", "target")}
    )
    here, there = (module(x).log_prob(x.target) for x in (known, thousandth))
    torch.testing.assert_close(here - np.log(1000), there, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "head",
    [LinearHead, FourierHead, NormalHead, StudentTHead, MixtureHead, QuantileHead],
    ids=lambda head: head.__name__,
)
@pytest.mark.parametrize("backbone", BACKBONES, ids=["decoder", "encoder_decoder"])
def test_two_steps_validation_and_test(head, backbone):
    module = model(head, backbone, paths=Paths(samples=6, at_once=4, in_validation=True))
    metrics = train(module, FixedData(batch()))
    runner = trainer()
    runner.test(module, FixedData(batch()), verbose=False)
    tested = {name: float(value) for name, value in runner.callback_metrics.items()}
    for name in ("nll", "out_of_support", "mase", "wql", "mae", "coverage_80"):
        assert np.isfinite(metrics[f"val/{name}"])
        assert tested[f"test/{name}"] == pytest.approx(metrics[f"val/{name}"], rel=1e-5)


def test_the_pooled_mase_is_reported_if_asked_for():
    metrics = scores_of(model(paths=Paths(samples=3), pooled_mase=True), batch())
    assert np.isfinite(metrics["test/mase_pooled"])
    assert metrics["test/mase_pooled"] != metrics["test/mase"]


def test_a_validation_is_cheap_unless_asked():
    assert "val/mase" not in train(model(), FixedData(batch()))


def test_predictions_are_quantiles_of_the_samples():
    module, data = model(paths=Paths(samples=9)), FixedData(batch(), size=5)
    runner = trainer()
    (rows,) = runner.predict(module, data)
    futures = module.eval().sample(batch(), 0).double().detach().numpy()
    assert len(rows) == 5
    for row, paths in zip(rows, futures, strict=True):
        np.testing.assert_allclose(row["mean"], paths.mean(0), rtol=1e-5)
        for level in LEVELS:
            expected = np.quantile(paths, level, axis=0)
            np.testing.assert_allclose(row["quantiles"][str(level)], expected, rtol=1e-5)


def test_what_is_drawn_does_not_depend_on_what_the_future_weighs():
    module, data = model(paths=Paths(samples=3)), FixedData(batch(), size=5)
    trainer().predict(module, data)
    known = batch()
    known.weight.fill_(1.0)
    torch.testing.assert_close(module.sample(batch(), 0), module.sample(known, 0))


def test_figures_spread_over_the_batch():
    module = model(paths=Paths(samples=5))
    train(module, FixedData(batch()))
    figure = module.figures(batch())["forecasts"]
    assert len(figure.axes) == 4
    last = figure.axes[3].lines[1].get_ydata()
    np.testing.assert_allclose(last, batch().past[4].numpy())


@pytest.mark.parametrize("head", [LinearHead, FourierHead, StudentTHead, QuantileHead])
def test_a_high_level_changes_no_score(head):
    """Values in float64 are subtracted from their location before they are rounded."""
    low = batch()
    high = SeriesBatch(*(x.double() if x.is_floating_point() else x for x in low))
    high = high._replace(
        past=torch.where(high.observed, high.past + 2e9, 0.0),
        target=high.target + 2e9,
        loc=high.loc + 2e9,
    )
    near, far = (scores_of(model(head, paths=Paths(samples=9)), x) for x in (low, high))
    for name in ("nll", "mase", "coverage_80"):
        assert far[f"test/{name}"] == pytest.approx(near[f"test/{name}"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_forecasts_on_ranks_score_like_those_on_one(strategy):
    """What is drawn differs between the ranks, what is drawn from does not."""

    def test(world):
        torch.manual_seed(0)
        made = {"ddp": "ddp", "fsdp2": ModelParallelStrategy(2, 1)}[strategy]
        runner = trainer(strategy=made if world == 2 else "auto", devices=world)
        module = model(paths=Paths(samples=400, at_once=400))
        runner.test(module, FixedData(batch()), verbose=False)
        return {name: float(value) for name, value in runner.callback_metrics.items()}

    alone = test(1)
    for metrics in run_ranks(test, 2, 2):
        assert metrics["test/nll"] == pytest.approx(alone["test/nll"], rel=1e-5)
        assert metrics["test/mase"] == pytest.approx(alone["test/mase"], rel=0.1)
        assert metrics["test/wql"] == pytest.approx(alone["test/wql"], rel=0.1)


NAIVE = (Benchmark("short", 2.0, 0.5), Benchmark("whole", 0.5, 0.1))


def benchmarks():
    """The batch, and the batch with half of its horizon."""
    known = batch()
    return known._replace(target=known.target[:, :2], weight=known.weight[:, :2]), known


def scores_of(module, *batches, **changes):
    torch.manual_seed(0)
    runner = trainer(**changes)
    runner.test(module, FixedData(*batches), verbose=False)
    return {name: float(value) for name, value in runner.callback_metrics.items()}


def test_each_benchmark_has_its_metrics_and_both_have_relative_ones():
    sets = benchmarks()
    paths = Paths(samples=7)
    spec = dataclasses.replace(SPEC, benchmarks=NAIVE)
    metrics = scores_of(model(LinearHead, spec=spec, paths=paths), *sets)
    names = ("nll", "out_of_support", "mase", "wql", "mae", "coverage_80", "smoothness")
    assert metrics.keys() == {
        "test/mase_relative",
        "test/wql_relative",
        *(f"test/{name}/{part.name}" for name in names for part in NAIVE),
    }
    for part, known in zip(NAIVE, sets, strict=True):
        alone = scores_of(model(LinearHead, paths=paths), known)
        assert {f"test/{name}/{part.name}" for name in names} <= metrics.keys()
        for name in names:
            expected = pytest.approx(alone[f"test/{name}"], rel=1e-5)
            assert metrics[f"test/{name}/{part.name}"] == expected
    mase = [metrics[f"test/mase/{part.name}"] / part.mase for part in NAIVE]
    assert metrics["test/mase_relative"] == pytest.approx(np.sqrt(np.prod(mase)), rel=1e-5)
    wql = [metrics[f"test/wql/{part.name}"] / part.wql for part in NAIVE]
    assert metrics["test/wql_relative"] == pytest.approx(np.sqrt(np.prod(wql)), rel=1e-5)


@pytest.mark.slow
def test_relative_scores_on_ranks_are_those_on_one():
    spec = dataclasses.replace(SPEC, benchmarks=NAIVE)

    def test(world):
        module = model(spec=spec, paths=Paths(samples=400, at_once=400))
        strategy = "ddp" if world == 2 else "auto"
        return scores_of(module, *benchmarks(), strategy=strategy, devices=world)

    alone = test(1)
    for metrics in run_ranks(test, 2, 2):
        assert metrics.keys() == alone.keys()
        for name, value in metrics.items():
            assert value == pytest.approx(alone[name], rel=1e-5 if "nll" in name else 0.1)


@pytest.mark.parametrize("head", [LinearHead, FourierHead])
def test_smoothness_is_that_of_the_cells(head):
    module = model(partial(head, bins=32), paths=Paths(samples=2))
    known = batch()
    metrics = scores_of(module, known)
    with torch.no_grad():
        cells = module(known).base.cells.probs
    expected = (smoothness(cells) * known.weight).sum() / known.weight.sum()
    assert metrics["test/smoothness"] == pytest.approx(expected.item(), rel=1e-4)
    assert "test/smoothness" not in scores_of(model(paths=Paths(samples=2)), known)
