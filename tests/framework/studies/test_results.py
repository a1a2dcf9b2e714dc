"""Results survive a file; their table holds mean, deviation of a sample and n beside a paper's."""

import statistics

from framework.studies.rates import ChosenRate
from framework.studies.results import (
    Result,
    markdown,
    read,
    simple_predictions,
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


def test_a_file_says_every_seed_and_learning_rate(tmp_path):
    runs = [Result("fan", s, "nll", s / 8, rate) for s in (1, 2) for rate in (1e-5, 0.003, None)]
    write(tmp_path / "results.csv", runs)
    assert read(tmp_path / "results.csv") == runs


def test_a_file_has_every_digit(tmp_path):
    runs = [Result("fan", 1, "parameters", 123456789.0), Result("fan", 1, "nll", 1 / 3)]
    write(tmp_path / "results.csv", runs)
    assert read(tmp_path / "results.csv") == runs


def test_files_without_learning_rates_can_be_read(tmp_path):
    (tmp_path / "old.csv").write_text("variant,seed,metric,value\nlinear,1,nll,0.125\n")
    assert read(tmp_path / "old.csv") == RESULTS[:1]


def test_mean_and_deviation_of_a_sample_over_seeds():
    head, linear, fourier = summary(RESULTS, ["nll", "kl"])
    assert head == ["variant", "n", "nll", "kl"]
    mean, deviation = (float(part) for part in linear[2].split(" ± "))
    assert abs(mean - statistics.fmean([0.125, 0.375, 1.0])) < 5e-3
    assert abs(deviation - statistics.stdev([0.125, 0.375, 1.0])) < 5e-3
    assert linear[1] == "3"
    assert linear[3] == "2 (n = 1)"  # a metric that fewer seeds have
    assert fourier == ["fourier", "1", "0.5", ""]  # one seed has no deviation


def test_numbers_end_with_the_second_digit_of_the_deviation():
    large = [Result("x", seed, "return", value) for seed, value in ((1, 1136.4), (2, 1527.3))]
    assert summary(large, ["return"])[1][2] == "1332 ± 276"  # 390.9 / √2
    small = [Result("x", seed, "kl", value) for seed, value in ((1, 0.01), (2, 0.0112))]
    assert summary(small, ["kl"])[1][2] == "0.01060 ± 0.00085"  # .0012 / √2


def test_numbers_of_things_are_written_out():
    sizes = [Result("x", seed, "parameters", 1_227_188_224.0) for seed in (1, 2)]
    assert summary(sizes, ["parameters"])[1][2] == "1,227,188,224"


def test_published_numbers_stand_beside_and_below():
    rows = summary(RESULTS, ["nll"], {"linear": {"nll": ".17 ± .05"}, "mixture": {"nll": ".03"}})
    assert rows[0] == ["variant", "n", "nll", "(published)"]
    assert rows[1][3] == ".17 ± .05"
    assert rows[2][3] == ""
    assert rows[3] == ["mixture", "0", "", ".03"]


def test_chosen_rates_and_trivial_predictions_have_their_place():
    rates = {"linear": ChosenRate(0.1, 3, edge=True), "fourier": ChosenRate(0.03, 3)}
    head, linear, fourier, mean = summary(
        RESULTS, ["nll"], rates=rates, trivial={"mean": {"nll": 2}}
    )
    assert head == ["variant", "n", "learning rate", "nll"]
    assert linear[2] == "0.1 of 3, at the edge of the grid"
    assert fourier[2] == "0.03 of 3"
    assert mean == ["mean", "", "", "2"]


def test_one_learning_rate_has_no_column():
    assert "learning rate" not in summary(RESULTS, ["nll"], rates={"linear": ChosenRate(None)})[0]


def test_simple_predictions_are_means_over_the_runs_of_their_group():
    scores = {("a/x", 1): 1.0, ("a/y", 2): 2.0, ("b/x", 1): 7.0}
    runs = [Result(v, s, "baselines/naive/test/mase", x) for (v, s), x in scores.items()]
    found = simple_predictions([*RESULTS, *runs])
    assert found == {"a/naive": {"test/mase": 1.5}, "b/naive": {"test/mase": 7.0}}


def test_markdown_has_a_rule_below_the_head():
    assert markdown([["a", "b"], ["1", "2"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
    ]
