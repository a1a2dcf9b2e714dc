"""Overlays of loggers: what they write, and where."""

import csv
import time

import pytest
import yaml

import cli

SMALL = ("--config", "two_peaks", "--config", "smoke", "--data.batch_size=8")


def trained(folder, *overlays):
    root = f"--trainer.default_root_dir={folder}"
    cli.main(["fit", *SMALL, *(f"--config={name}" for name in overlays), root])
    return folder / "two_peaks" / "version_0"


def holds(folder, name):
    """Whether the run that W&B keeps there names a metric."""
    kept = list((folder / "wandb").glob("offline-run-*/*.wandb"))
    return len(kept) == 1 and name in kept[0].read_bytes()


@pytest.mark.slow
def test_a_table_has_every_logged_step_in_the_folder_of_the_run(tmp_path):
    folder = trained(tmp_path, "logger/csv")
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["step"] for row in rows if row["train/nll"]} == {"0", "1"}
    assert [row["step"] for row in rows if row["val/nll"]] == ["1"]
    assert (folder / "metrics.json").is_file()
    recipe = yaml.safe_load((folder / "config.yaml").read_text())
    assert recipe["trainer"]["logger"]["init_args"]["name"] == "two_peaks"
    assert recipe["trainer"]["logger"]["init_args"]["save_dir"] == "${...default_root_dir}"


@pytest.mark.slow
def test_weights_and_biases_logs_beside_tensorboard_without_a_network(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = trained(tmp_path, "logger/wandb")
    wandb.finish()  # as at the end of a process, which writes what is left
    deadline = time.monotonic() + 60  # for the process that writes, on a busy machine
    while not (named := holds(tmp_path, b"val/nll")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert named
    assert list(folder.glob("events.out.*"))
    recipe = yaml.safe_load((folder / "config.yaml").read_text())
    places = [each["init_args"]["save_dir"] for each in recipe["trainer"]["logger"]]
    assert places == ["${....default_root_dir}"] * 2
