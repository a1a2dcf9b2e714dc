"""Folders of a run and of a study as trainings leave them, written without any."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.image import imsave
from torch.utils.tensorboard import SummaryWriter

from framework.console import recipes
from framework.run_files import Provenance, write_metrics, write_provenance

EVIL = "<script>alert(1)</script>&\"'"  # a name that must stay a text
COMMAND = ["overtone", "fit", "--config", "two_peaks", "--model.head.frequencies", "3"]
NUMBERS = {
    "train/nll": 1.5,
    "val/nll": 2.5,
    "val/mase": 1.25,
    "baselines/naive/val/mase": 1.75,
    "parameters": 1000,
    "steps": 200,
    "seconds": 8.0,
}


def picture(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, np.zeros((4, 6, 3)))
    return path.read_bytes()


def log(folder: Path, offset: float = 0.0) -> None:
    """Logs two metrics and more, with a gap, texts and pictures."""
    with SummaryWriter(str(folder)) as events:
        for step in range(0, 200, 10):
            value = math.nan if step == 50 else math.exp(-step / 40) + offset
            events.add_scalar("train/nll", value, step)
            events.add_scalar(f"speed/{EVIL}", 100 + step, step)
        for step in (99, 199):
            events.add_scalar("val/nll", 10.0 / step + offset, step)
            events.add_image("only_logged", np.full((3, 4, 6), step / 255), step)
        events.add_text("sample", EVIL)


def write_run(folder: Path) -> Path:
    """Writes a run of a recipe with another number of frequencies, and with full class paths."""
    log(folder)
    recipe = yaml.safe_load(recipes.find("two_peaks").read_text(encoding="utf-8"))
    head = recipe["model"]["init_args"]["head"]
    head["class_path"] = f"components.heads.{head['class_path']}"
    head["init_args"]["frequencies"] = 3
    recipe["data"]["init_args"]["note"] = EVIL
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    write_provenance(path, Provenance(COMMAND, {"overtone": "0.0.1", "variable": EVIL}))
    write_metrics(folder, NUMBERS)
    picture(folder / "figures" / "densities.png")
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "runs" / EVIL.replace("/", "") / "version_0")


@pytest.fixture
def study(tmp_path):
    """A comparison of two variants with two seeds."""
    folder = tmp_path / "study"
    for variant, rate in (("plain", None), ("fan", 0.1), ("fan", 0.2)):
        for seed in (1, 2) if rate != 0.2 else (1,):
            place = folder / variant / (f"lr-{rate}" if rate else "") / f"seed-{seed}"
            log(place / "logs", offset=seed)
            write_metrics(place / "logs", {"val/nll": float(seed)})
            note = {"variant": variant, "seed": seed, "learning_rate": rate, "logs": "logs"}
            (place / "finished.json").write_text(json.dumps(note))
    table = f"| variant | n | val/nll |\n| --- | --- | --- |\n| {EVIL} | 2 | 1.5 ± 0.7 |\n"
    (folder / "table.md").write_text(table, encoding="utf-8")
    (folder / "study.yaml").write_text("class_path: Variants\ninit_args:\n  seeds: [1, 2]\n")
    picture(folder / "seeds.png")
    return folder
