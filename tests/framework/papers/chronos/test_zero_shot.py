"""The forecaster that comes with Overtone scores what its card says."""

import json
import re
from statistics import geometric_mean

import pytest

import cli
from framework.checkpoints import read
from framework.packaged import shipped

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

CARD = shipped()["zero_shot"].with_suffix(".md").read_text()
CORPUS = {"few": {"source": {"class_path": "KernelSynth", "init_args": {"number": 20}}}}
SMALL = ["--data.corpora", json.dumps(CORPUS), "--data.validation", "4"]
TOLERANCE = 0.005  # of draws, of levels in equal parts, and of rounding in the card


@pytest.mark.parametrize(
    ("row", "name", "frequency"),
    [
        ("M1 yearly", "M1", "yearly"),
        ("M3 quarterly", "M3", "quarterly"),
    ],
)
@pytest.mark.slow
def test_scores_are_those_of_the_card(row, name, frequency, tmp_path):
    part = {"class_path": "Competition", "init_args": {"name": name, "frequency": frequency}}
    words = ["--data.benchmarks", json.dumps({"part": part}), *SMALL]
    root = ["--trainer.default_root_dir", str(tmp_path), "--trainer.accelerator", "cpu"]
    cli.main(["test", "--config", "zero_shot", "--ckpt_path", "zero_shot", *words, *root])
    (file,) = tmp_path.rglob("metrics.json")
    found = json.loads(file.read_text())
    line = next(line for line in CARD.splitlines() if line.startswith(f"| {row} "))
    mase, wql, coverage = map(float, re.findall(r"\.\d+", line)[:3])
    assert found["test/mase_relative"] == pytest.approx(mase, abs=TOLERANCE)
    assert found["test/wql_relative"] == pytest.approx(wql, abs=TOLERANCE)
    assert found["test/coverage_80/part"] == pytest.approx(coverage, abs=0.01)


def test_means_of_the_card_are_those_of_its_rows():
    lines = [line for line in CARD.splitlines() if re.match(r"\| (M\d|Tourism) ", line)]
    rows = [[float(cell) for cell in line.split("|")[2:-1]] for line in lines]
    assert len(rows) == 8
    (mean,) = (line for line in CARD.splitlines() if line.startswith("| **geometric mean**"))
    for k, cell in enumerate(mean.split("|")[2:-1]):
        if cell.strip():
            expected = geometric_mean([row[k] for row in rows])
            assert float(cell.strip("* ")) == pytest.approx(expected, abs=0.0011)


def test_the_card_counts_the_parameters():
    count = sum(value.numel() for value in read("zero_shot")["state_dict"].values())
    assert f"{count:,} parameters" in CARD
