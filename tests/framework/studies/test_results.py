"""Results survive a file, and their table holds mean and population deviation beside a paper's."""

import math
import statistics

import pytest

from framework.studies.results import (
    Result,
    differences,
    markdown,
    pairs,
    read,
    size_ratios,
    summary,
    write,
)

RESULTS = [
    Result("linear", 1, "nll", 0.125),
    Result("linear", 2, "nll", 0.375),
    Result("linear", 4, "nll", 1.0),
    Result("linear", 1, "kl", 2.0),
    Result("fourier", 1, "nll", 0.5),
]


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "new" / "results.csv"
    write(path, RESULTS)
    assert read(path) == RESULTS


def test_mean_and_population_deviation_over_seeds():
    head, linear, fourier = summary(RESULTS, ["nll", "kl"])
    assert head == ["variant", "seeds", "nll", "kl"]
    mean, deviation = (float(part) for part in linear[2].split(" ± "))
    assert abs(mean - statistics.fmean([0.125, 0.375, 1.0])) < 5e-3
    assert abs(deviation - statistics.pstdev([0.125, 0.375, 1.0])) < 5e-3
    assert linear[1] == "3"
    assert fourier == ["fourier", "1", "0.5", ""]  # one seed has no deviation


def test_numbers_end_with_the_second_digit_of_the_deviation():
    large = [Result("x", seed, "return", value) for seed, value in ((1, 1136.4), (2, 1527.3))]
    assert summary(large, ["return"])[1][2] == "1332 ± 195"
    small = [Result("x", seed, "kl", value) for seed, value in ((1, 0.01), (2, 0.0112))]
    assert summary(small, ["kl"])[1][2] == "0.01060 ± 0.00060"


def test_numbers_of_things_are_written_out():
    sizes = [Result("x", seed, "parameters", 1_227_188_224.0) for seed in (1, 2)]
    assert summary(sizes, ["parameters"])[1][2] == "1,227,188,224"


def test_differences_are_paired_by_seed():
    """Seed 9 of the baseline and seed 3 of the variant have no partner."""
    losses = {"plain": {1: 2.0, 2: 3.0, 9: 50.0}, "fan": {2: 2.5, 1: 1.0, 3: 7.0}}
    runs = [Result(v, s, "nll", x) for v, found in losses.items() for s, x in found.items()]
    rows = differences([*runs, Result("fan", 1, "kl", 9.0)], "nll", "plain")
    assert rows[0][0] == "variant"
    (fan,) = rows[1:]
    mean, deviation = (float(part) for part in fan[2].split(" ± "))
    assert (fan[0], fan[1], fan[3]) == ("fan", "2", "2 of 2")
    assert mean == statistics.fmean([-1.0, -0.5])
    assert deviation == statistics.pstdev([-1.0, -0.5])


def test_each_group_has_its_baseline():
    losses = {"small/plain": 3.0, "small/fan": 2.0, "large/plain": 1.0, "large/fan": 1.5}
    rows = differences([Result(v, 1, "nll", x) for v, x in losses.items()], "nll", "plain")
    assert [(row[0], float(row[2]), row[3]) for row in rows[1:]] == [
        ("small/fan", -1.0, "1 of 1"),
        ("large/fan", 0.5, "0 of 1"),
    ]


def test_pairs_leave_out_runs_that_miss_one_of_the_two():
    runs = [
        Result("a/fan", 1, "size", 9.0),
        Result("a/fan", 1, "nll", 2.0),
        Result("a/fan", 2, "nll", 3.0),
        Result("b/fan", 1, "size", 4.0),
        Result("b/fan", 1, "nll", 5.0),
        Result("plain", 1, "nll", 5.0),
    ]
    assert pairs(runs, "size", "nll") == {"fan": [[(9.0, 2.0)], [(4.0, 5.0)]]}


def test_shares_of_size_are_those_of_curves_that_are_straight_in_the_logarithm():
    """Losses 5 - ln N and 5 - ln(N / 0.7): as good with 70 %, wherever its models reach."""

    def models(sizes, factor):
        return [[(n, 5 - math.log(n / factor) + seed) for seed in (-0.1, 0.1)] for n in sizes]

    kinds = {"plain": models([100, 250, 900], 1.0), "fan": models([90, 160, 300], 0.7)}
    head, *rows = size_ratios(kinds, "plain")
    assert head == ["plain", "result", "fan"]
    assert [row[0] for row in rows] == ["100", "250", "900"]
    assert [row[2] for row in rows] == ["", "70 %", ""]  # 70 and 630 are beyond its models
    assert float(rows[1][1]) == pytest.approx(5 - math.log(250), abs=1e-3)


def test_published_numbers_stand_beside_and_below():
    rows = summary(RESULTS, ["nll"], {"linear": {"nll": ".17 ± .05"}, "mixture": {"nll": ".03"}})
    assert rows[0] == ["variant", "seeds", "nll", "(published)"]
    assert rows[1][3] == ".17 ± .05"
    assert rows[2][3] == ""
    assert rows[3] == ["mixture", "0", "", ".03"]


def test_markdown_has_a_rule_below_the_head():
    assert markdown([["a", "b"], ["1", "2"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
    ]
