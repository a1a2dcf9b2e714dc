"""Differences are paired by seed, with Student's interval; each rule of a verdict has its test."""

import math
import statistics

import pytest
import scipy.stats

from framework.studies import Variants
from framework.studies.comparisons import Arm, differences, half_width, paired_gaps, verdict
from framework.studies.rates import ChosenRate, choose_rate
from framework.studies.results import Result

GRID = ChosenRate(0.003, tried=3)
PLAIN = Arm({1: 2.0, 2: 2.2, 3: 2.1}, GRID)
FAN = Arm({1: 1.5, 2: 1.8, 3: 1.6}, GRID)


def test_differences_are_paired_by_seed():
    """Seed 9 of the baseline and seed 3 of the variant have no partner."""
    losses = {"plain": {1: 2.0, 2: 3.0, 9: 50.0}, "fan": {2: 2.5, 1: 1.0, 3: 7.0}}
    runs = [Result(v, s, "nll", x) for v, found in losses.items() for s, x in found.items()]
    rows = differences([*runs, Result("fan", 1, "kl", 9.0)], "nll", "plain")
    assert rows[0][0] == "variant"
    (fan,) = rows[1:]
    mean, deviation = (float(part) for part in fan[2].split(" ± "))
    assert (fan[0], fan[1], fan[4]) == ("fan", "2", "2 of 2")
    assert mean == statistics.fmean([-1.0, -0.5])
    assert deviation == pytest.approx(statistics.stdev([-1.0, -0.5]), abs=5e-3)


def test_each_group_has_its_baseline():
    losses = {"small/plain": 3.0, "small/fan": 2.0, "large/plain": 1.0, "large/fan": 1.5}
    rows = differences([Result(v, 1, "nll", x) for v, x in losses.items()], "nll", "plain")
    assert [(row[0], float(row[2]), row[4]) for row in rows[1:]] == [
        ("small/fan", -1.0, "1 of 1"),
        ("large/fan", 0.5, "0 of 1"),
    ]


@pytest.mark.parametrize("gaps", [[0.4, -0.1], [-3.0, -2.5, -2.7], [0.1, 0.3, -0.2, 0.25, 5.0]])
def test_the_interval_is_that_of_scipys_paired_test(gaps):
    others = [7.0, 2.0, -1.0, 4.0, 0.5][: len(gaps)]
    values = [gap + other for gap, other in zip(gaps, others, strict=True)]
    expected = scipy.stats.ttest_rel(values, others).confidence_interval(0.95)
    arms = (Arm(dict(enumerate(each))) for each in (values, others))
    found = paired_gaps(*arms)
    middle, half = statistics.fmean(found), half_width(found)
    assert (middle - half, middle + half) == pytest.approx(tuple(expected), rel=1e-9)


def test_the_interval_stands_in_the_table():
    runs = [
        Result(name, seed, "nll", value)
        for name, arm in (("plain", PLAIN), ("fan", FAN))
        for seed, value in arm.values.items()
    ]
    [_, row] = differences(runs, "nll", "plain", {"plain": GRID, "fan": GRID})
    low, high = scipy.stats.ttest_rel([1.5, 1.8, 1.6], [2.0, 2.2, 2.1]).confidence_interval()
    assert row[3] == f"[{low:.2f}, {high:.2f}]"
    assert row[5] == "wins"


def test_one_seed_has_no_interval():
    assert math.isnan(half_width([0.5]))
    assert math.isnan(half_width([]))


def test_what_is_better_wins_and_what_is_worse_loses():
    assert verdict(FAN, PLAIN, {}) == "wins"
    assert verdict(PLAIN, FAN, {}) == "loses"
    assert verdict(FAN, PLAIN, {}, maximized=True) == "loses"
    assert verdict(PLAIN, FAN, {}, maximized=True) == "wins"


def test_an_interval_that_holds_zero_is_no_verdict():
    noisy = Arm({1: 1.5, 2: 2.5, 3: 2.0}, GRID)
    assert verdict(noisy, PLAIN, {}) == "no verdict: the interval holds 0"
    assert verdict(PLAIN, PLAIN, {}) == "no verdict: the interval holds 0"


def test_two_seeds_are_no_verdict():
    two = Arm({1: 1.5, 2: 1.7}, GRID)  # exactly .5 below
    assert verdict(two, PLAIN, {}) == "no verdict: 2 seeds"
    apart = Arm({7: 1.0, 8: 1.0, 9: 1.0}, GRID)  # seeds that the other one has not
    assert verdict(apart, PLAIN, {}) == "no verdict: 0 seeds"


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("tried", "said"), [(1, "one learning rate"), (2, "2 learning rates")])
def test_fewer_than_three_learning_rates_of_either_are_no_verdict(side, tried, said):
    pair = [FAN, PLAIN]
    pair[side] = pair[side]._replace(rate=ChosenRate(0.003, tried))
    assert verdict(*pair, {}) == f"no verdict: {said}"


@pytest.mark.parametrize(
    ("score", "maximized", "good"),
    [
        (2.5, False, True),
        (1.9, False, False),
        (2.1, False, False),
        (1.0, False, False),
        (1.0, True, True),
        (1.9, True, False),
        (3.0, True, False),
    ],
)
def test_both_must_beat_what_learns_nothing(score, maximized, good):
    """The means are 1.63 and 2.1; a tie is no win."""
    found = verdict(FAN, PLAIN, {"the mean": score}, maximized)
    assert (found in ("wins", "loses")) == good
    assert good or found == f"no verdict: the mean ({score:.4g}) is as good as one of the two"


def test_all_reasons_are_told():
    one = Arm({1: 1.0})
    assert verdict(one, one, {"naive": 0.5}) == (
        "no verdict: one seed, one learning rate, naive (0.5) is as good as one of the two"
    )


def test_trivial_predictions_belong_to_a_group_and_a_metric():
    values = {"a/plain": 2.0, "a/fan": 1.0, "b/plain": 2.0, "b/fan": 1.0}
    runs = [
        Result(v, s, "nll", x + s * (1 + v.endswith("fan")) / 100)
        for v, x in values.items()
        for s in (1, 2, 3)
    ]
    trivial = {"a/naive": {"nll": 1.5, "mae": 0.0}, "b/naive": {"mae": 0.0, "nll": math.nan}}
    rows = differences(runs, "nll", "plain", dict.fromkeys(values, GRID), trivial)
    assert [(row[0], row[5]) for row in rows[1:]] == [
        ("a/fan", "no verdict: naive (1.5) is as good as one of the two"),
        ("b/fan", "wins"),
    ]


def test_the_best_rate_is_chosen_and_an_edge_is_noticed():
    scores = {0.001: 3.0, 0.003: 1.0, 0.01: 2.0}
    assert choose_rate(scores) == (0.003, 3, False)
    assert choose_rate(scores, maximized=True) == (0.001, 3, True)
    assert choose_rate({**scores, 0.03: math.nan}) == (0.003, 4, False)
    assert choose_rate({0.1: math.nan, 0.2: 5.0}, maximized=True) == (0.2, 2, True)
    assert choose_rate({None: 1.0}) == (None, 1, False)


@pytest.mark.parametrize(("bar", "said"), [(15.0, "wins"), (25.0, "bar (25) is as good")])
def test_variants_are_compared_in_further_metrics(bar, said):
    """Fan has the lower nll and the higher return; a bar below both returns lets it win."""
    study = Variants(
        [],
        {"mlp": [], "fan": []},
        ["val/nll", "val/return"],
        baseline="mlp",
        learning_rates=[0.1, 0.2, 0.3],
        maximized=["val/return"],
        trivial={"bar": {"val/return": bar}},
        differences_in=["val/return"],
    )
    values = {"mlp": (3.0, 20.0), "fan": (2.0, 30.0)}
    results = [
        Result(name, seed, metric, value + 0.01 * seed * (name == "fan") + (rate != 0.2), rate)
        for name, pair in values.items()
        for metric, value in zip(study.metrics, pair, strict=True)
        for rate in (0.1, 0.2, 0.3)
        for seed in ((1, 2, 3) if rate == 0.2 else (1,))
    ]
    tables = study.tables(results)
    assert list(tables) == ["Last metrics", "Differences", "Differences in val/return"]
    assert tables["Differences"][1][-1] == "wins"
    head, row = tables["Differences in val/return"]
    assert head[2] == "val/return, less that of mlp"
    assert row[2].startswith("10.02")
    assert said in row[-1]


@pytest.mark.parametrize("options", [{"baseline": "mlp"}, {"metrics": ["val/return"]}])
def test_comparisons_with_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"differences_in=\['val/return'\] .* compares nothing"):
        Variants([], {"mlp": []}, **{"metrics": ["nll"], **options}, differences_in=["val/return"])
