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
    """The runs on x mod 5 with three learning rates, as `results.csv` keeps them."""
    study = Variants(**yaml.safe_load(FILE.read_text())["study"]["init_args"])
    results = read(FILE.with_suffix(".csv"))
    assert {(r.variant, r.seed) for r in results} == {
        (f"mod5/{arm}", seed) for arm in ("mlp", "fan") for seed in (1, 2, 3)
    }
    page = (FILE.parents[1] / "README.md").read_text()
    head, *rows = study.tables(results)["Last metrics"]
    columns = [head.index(name) for name in ("n", "learning rate", "val/squared_error")]
    shown = {row[0]: " | ".join(row[k] for k in columns) for row in rows}
    for arm in ("mod5/mlp", "mod5/fan"):
        assert f"| {arm} | {shown[arm]} |" in page
    _, [_, n, gap, interval, below, verdict] = study.tables(results)["Differences"]
    assert (n, below) == ("3", "3 of 3")
    assert f"{gap} {interval}" in page
    assert f"**{verdict}**" in page
