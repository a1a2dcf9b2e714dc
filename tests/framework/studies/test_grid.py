"""Learning rates are all tried with the first seed; the best one of each variant goes on."""

import json
import math

import pytest

from framework.studies import Variants, read, runs

FAKE = """
import json, math, pathlib, sys
words = sys.argv[1:]
folder = pathlib.Path(words[-1].partition("=")[2])
rate = float(words[words.index("--model.optimizer.lr") + 1])
seed = int(words[words.index("--seed_everything") + 1])
if f"--fail-{rate}" in words:
    sys.exit(2)
if f"--diverge-{rate}" in words or f"--diverge-{rate}-{seed}" in words:
    sys.exit(3)
best = float(words[words.index("--best") + 1])
place = folder / "name"
place.mkdir(parents=True, exist_ok=True)
loss = math.log10(rate / best) ** 2 + seed / 10
numbers = {"val/nll": loss, "val/return": -loss, "test/mae": 5.0, "parameters": 7.0}
numbers["baselines/naive/val/nll"] = 3.0
(place / "last.ckpt").touch()
for word in words:
    if word.startswith("--from=") and not pathlib.Path(word[7:]).is_file():
        sys.exit(4)
(place / "metrics.json").write_text(json.dumps(numbers))
with open(folder / "calls", "a") as file:
    file.write("x")
"""
RATES = [0.001, 0.003, 0.01]
ARMS = {"plain": ["--best", "0.003"], "fan": ["--best", "0.01"]}


@pytest.fixture(autouse=True)
def _launched(monkeypatch):
    monkeypatch.setattr(runs, "LAUNCH", FAKE)


def calls(folder):
    """How often each run was started."""
    found = folder.rglob("calls")
    return {str(path.parent.relative_to(folder)): len(path.read_text()) for path in found}


def study(arms=ARMS, rates=RATES, seeds=(5, 6, 7), **options):
    return Variants([], arms, ["val/nll"], list(seeds), learning_rates=rates, **options)


def expected(first, others, best, rates=RATES):
    all_of_first = {f"{arm}/lr-{rate}/seed-{first}" for arm in ARMS for rate in rates}
    return all_of_first | {f"{arm}/lr-{best[arm]}/seed-{seed}" for arm in ARMS for seed in others}


def test_other_seeds_have_the_rate_that_was_best_with_the_first(tmp_path):
    study().run(tmp_path, jobs=2)
    best = {"plain": 0.003, "fan": 0.01}
    assert calls(tmp_path) == dict.fromkeys(expected(5, (6, 7), best), 1)


def test_the_file_of_results_has_all_rates_and_seeds_and_the_table_the_best(tmp_path):
    study(baseline="plain").run(tmp_path, jobs=2)
    results = [each for each in read(tmp_path / "results.csv") if each.metric == "val/nll"]
    assert len(results) == 10  # for each arm three rates with one seed, and two more seeds
    assert {each.learning_rate for each in results if each.variant == "fan"} == set(RATES)
    text = (tmp_path / "table.md").read_text()
    assert "| plain | 3 | 0.003 of 3 | 0.60 ± 0.10 |" in text
    assert "| fan | 3 | 0.01 of 3, at the edge of the grid | 0.60 ± 0.10 |" in text
    assert "| naive |  |  | 3 |" in text
    assert "no verdict: the interval holds 0" in text


def test_a_study_goes_on_where_it_stopped(tmp_path):
    study(seeds=[5]).run(tmp_path, jobs=1)
    study(seeds=[5, 6]).run(tmp_path, jobs=1)
    (tmp_path / "fan" / "lr-0.01" / "seed-6" / "finished.json").unlink()
    study().run(tmp_path, jobs=1)
    counts = calls(tmp_path)
    assert counts.pop("fan/lr-0.01/seed-6") == 2
    assert set(counts.values()) == {1}
    assert len(counts) == 9


@pytest.mark.slow
def test_a_wider_grid_moves_the_other_seeds_to_a_better_rate(tmp_path):
    study().run(tmp_path, jobs=1)
    arms = {**ARMS, "fan": ["--best", "0.03"]}
    study(arms).run(tmp_path, jobs=1)
    study(arms, [*RATES, 0.03]).run(tmp_path, jobs=1)
    kept = tmp_path / "fan" / "lr-0.03" / "seed-7" / "finished.json"
    assert json.loads(kept.read_text())["learning_rate"] == 0.03
    assert (
        "| fan | 3 | 0.03 of 4, at the edge of the grid |" in (tmp_path / "table.md").read_text()
    )


def test_a_rate_is_not_chosen_before_all_were_tried(tmp_path):
    arms = {**ARMS, "fan": [*ARMS["fan"], "--fail-0.001"]}
    with pytest.raises(ValueError, match=r"1 of 10 runs failed; see .*lr-0\.001"):
        study(arms).run(tmp_path, jobs=1)
    assert not list(tmp_path.glob("fan/*/seed-6"))
    assert list(tmp_path.glob("plain/*/seed-6"))
    assert "| fan | 1 | 0.01 of 2" in (tmp_path / "table.md").read_text()


def test_a_rate_that_diverges_is_tried_and_not_chosen(tmp_path):
    arms = {**ARMS, "fan": [*ARMS["fan"], "--diverge-0.01"]}
    for _ in range(2):
        study(arms, baseline="plain").run(tmp_path, jobs=1)
    assert set(calls(tmp_path).values()) == {1}
    found = [each for each in read(tmp_path / "results.csv") if each.variant == "fan"]
    [lost] = [each for each in found if each.learning_rate == 0.01]
    assert (lost.seed, lost.metric) == (5, "val/nll")
    assert math.isnan(lost.value)
    text = (tmp_path / "table.md").read_text()
    assert "| fan | 3 | 0.003 of 3 | 0.87 ± 0.10 |" in text
    assert "| fan | 3 | 0.27" in text
    assert "| loses |" in text


@pytest.mark.slow
def test_a_seed_that_diverges_leaves_no_verdict(tmp_path):
    arms = {**ARMS, "fan": [*ARMS["fan"], "--diverge-0.01-6"]}
    study(arms, baseline="plain").run(tmp_path, jobs=1)
    text = (tmp_path / "table.md").read_text()
    assert "| fan | 3 | 0.01 of 3, at the edge of the grid | nan |" in text
    assert "| no verdict: 1 of 3 seeds diverged |" in text


def test_nothing_goes_on_from_a_model_that_diverged(tmp_path):
    arms = {"base": ["--best", "0.003", *(f"--diverge-{rate}" for rate in RATES)]}
    arms["fine"] = ["--best", "0.003", "--from={base}"]
    with pytest.raises(ValueError, match="5 of 10 runs cannot start, as those that they go on"):
        study(arms).run(tmp_path, jobs=1)
    assert len(list(tmp_path.glob("base/*/*/finished.json"))) == 5
    with pytest.raises(ValueError, match=r"waits for runs that are not finished in .* or diverge"):
        study(arms).run_one(tmp_path, 3)


def test_more_may_be_better_for_the_metric_that_chooses(tmp_path):
    options = {"chosen_by": "val/return", "maximized": ["val/return"]}
    study(**options).run(tmp_path, jobs=1)
    assert "| plain | 3 | 0.003 of 3 |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("rates", [[0.1, 0.1, 0.2], [0.0, 0.1, 0.2], [-0.1]])
def test_rates_are_different_positive_numbers(rates):
    with pytest.raises(ValueError, match="not different positive numbers"):
        study(rates=rates)


def test_rates_are_chosen_in_validation():
    with pytest.raises(ValueError, match="chosen_by='test/mae' is not a metric of validation"):
        study(chosen_by="test/mae")


@pytest.mark.slow
def test_a_variant_goes_on_from_a_base_of_its_own_with_the_same_seed(tmp_path):
    arms = {f"base/{arm}": words for arm, words in ARMS.items()}
    arms |= {arm: [*words, f"--from={{base/{arm}}}"] for arm, words in ARMS.items()}
    study(arms, seeds=(5, 6), baseline="plain").run(tmp_path, jobs=2)
    log = json.loads((tmp_path / "fan" / "lr-0.01" / "seed-6" / "finished.json").read_text())
    assert log["needed_rates"] == {"base/fan": 0.01}
    assert set(calls(tmp_path).values()) == {1}
    assert len(calls(tmp_path)) == 16
    rows = (tmp_path / "table.md").read_text().split("less that of plain")[1]
    assert "| base/fan | 2 |" in rows
    assert "| fan | 2 |" in rows


def test_a_metric_that_chooses_and_no_run_has_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"chosen_by='val/x' is no metric of 'plain', which has"):
        study(chosen_by="val/x").run(tmp_path, jobs=1)


def test_a_trivial_prediction_is_one_of_a_group_and_no_variant():
    for name in ("plain", "group/mean"):
        with pytest.raises(ValueError, match=f"trivial prediction '{name}' is a variant itself"):
            study(trivial={name: {"val/nll": 1.0}})


def test_what_does_not_beat_a_trivial_prediction_has_no_verdict(tmp_path):
    study(baseline="plain", trivial={"guess": {"val/nll": 0.5}}).run(tmp_path, jobs=2)
    text = (tmp_path / "table.md").read_text()
    assert "| guess |  |  | 0.5 |" in text
    assert "no verdict: guess (0.5) is as good as one of the two" in text
