"""Sizes beside results: pairs of each run, and the size that another kind of model needs."""

import math

import pytest

from framework.studies.results import Result
from framework.studies.sizes import pairs, size_ratios


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
