"""Functions that repeat: the study is of equal parameters, and its direction shows early."""

import json
from pathlib import Path

import pytest
import yaml

import cli
from framework.studies import Variants, read

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

FILE = Path(cli.__file__).parent / "recipes/studies/toy_densities/periodic.yaml"
STUDY = yaml.safe_load(FILE.read_text())["study"]["init_args"]
SIZES = {
    "fan": 2 * 76 + 2 * (76 + 1) * (76 - 19) + (76 + 1),  # stem, two FAN layers, head
    "mlp": 2 * 66 + 2 * (66 + 1) * 66 + (66 + 1),
}


def trained(variant, steps, folder):
    """The last metrics of a variant after some steps."""
    words = [*STUDY["recipe"], *STUDY["variants"][variant], "--trainer.logger", "false"]
    words += ["--trainer.enable_checkpointing", "false", "--trainer.enable_progress_bar", "false"]
    words += ["--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(steps)]
    cli.main(["fit", *words, f"--trainer.default_root_dir={folder}"])
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("variant", STUDY["variants"])
@pytest.mark.slow
def test_parameters_are_equal(variant, tmp_path):
    kind = variant.partition("/")[2]
    assert trained(variant, 1, tmp_path)["parameters"] == SIZES[kind]
    assert SIZES["fan"] == pytest.approx(SIZES["mlp"], rel=0.02)


@pytest.mark.slow
def test_periodic_features_fit_a_sine_that_a_perceptron_does_not(tmp_path):
    """Dong et al. ("FAN") say so; the variance of a sine is 1/2."""
    fan, mlp = (
        trained(f"sine/{kind}", 300, tmp_path)["val/squared_error"] for kind in ("fan", "mlp")
    )
    assert fan < 0.05 * mlp
    assert fan < 0.01 * 0.5


def test_the_page_of_results_has_what_the_study_makes_of_its_file():
    study = Variants(**yaml.safe_load(FILE.read_text())["study"]["init_args"])
    results = read(FILE.with_suffix(".csv"))
    assert {(r.variant, r.seed) for r in results} == {
        (arm, seed) for arm in STUDY["variants"] for seed in STUDY["seeds"]
    }
    assert {r.learning_rate for r in results} == {*STUDY["learning_rates"]}
    page, tables = (FILE.parents[1] / "README.md").read_text(), study.tables(results)
    for arm in tables["Last metrics"][1:5] + tables["Differences"][1:]:
        assert f"| {' | '.join(arm)} |" in page
