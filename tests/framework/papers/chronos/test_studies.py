"""Arms of two studies train two steps, forecast, and have the metrics that are compared.

Other arms are the same by another head or rate, and every head trains on the recipe elsewhere.
"""

import json

import pytest
import yaml

import cli
from framework.console import recipes
from framework.data.series.baselines import NAIVE
from framework.run_files import BASELINES

pytestmark = pytest.mark.usefixtures("unsaved_pictures", "own_cache")

CORPUS = {
    "few": {"source": {"class_path": "KernelSynth", "init_args": {"number": 20, "length": 64}}}
}
BENCHMARK = {
    "m3_monthly": {
        "class_path": "Competition",
        "init_args": {"name": "M3", "frequency": "monthly"},
    }
}
SMALL = [
    *("--data.corpora", json.dumps(CORPUS), "--data.benchmarks", json.dumps(BENCHMARK)),
    *("--data.limit", "3", "--data.validation", "2", "--data.batch_size", "4"),
    *("--model.paths.samples", "12", "--model.backbone.depth", "1"),
    *("--trainer.max_steps", "2", "--trainer.val_check_interval", "2"),
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1"),
]
STUDIES = {
    path.stem: yaml.safe_load(path.read_text())["study"]["init_args"]
    for path in recipes.studies()
    if path.parent.name == "chronos"
}
ARMS = [("heads", "hl-gauss"), ("heads", "fourier-density"), ("changes", "real-input")]


@pytest.mark.parametrize(("study", "arm"), ARMS)
@pytest.mark.slow
def test_an_arm_has_the_metrics_of_its_study(study, arm, tmp_path):
    options, place = STUDIES[study], f"--trainer.default_root_dir={tmp_path}"
    cli.main(["fit", *options["recipe"], *options["variants"][arm], *SMALL, place])
    (checkpoint,) = tmp_path.rglob("last.ckpt")
    cli.main(["test", "--ckpt_path", str(checkpoint), place])
    found = {}
    for path in tmp_path.rglob("metrics.json"):
        found |= json.loads(path.read_text())
    assert set(options["metrics"]) <= set(found)
    assert found[f"{BASELINES}{NAIVE}/test/wql_relative"] == pytest.approx(1)
