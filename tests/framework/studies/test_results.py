"""Results survive a file, and their table holds mean and population deviation beside a paper's."""

import statistics

from framework.studies.results import Result, markdown, read, summary, write

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
