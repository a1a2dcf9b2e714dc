"""Predictions as JSON lines: complete or absent."""

import json
from pathlib import Path

import pytest

from framework.callbacks import Predictions
from framework.modules.base import PredictiveModule
from tests.framework.modules.fakes import examples, options, trainer
from tests.framework.modules.parts import FixedData
from tests.ranks import run_ranks

OUTCOMES = examples(7).target[:, 0].tolist()


class Rows(PredictiveModule):
    def predict_step(self, batch, batch_idx):
        return [{"é": value} for value in batch.target[:, 0].tolist()]


class Broken(Rows):
    def predict_step(self, batch, batch_idx):
        if batch_idx == 1:
            raise RuntimeError("no more")
        return super().predict_step(batch, batch_idx)


def predict(kind, folder, **changes):
    runner = trainer(default_root_dir=folder, callbacks=[Predictions()], **changes)
    runner.predict(kind(**options()), FixedData(examples(7)), return_predictions=False)


def read(path):
    return [json.loads(line)["é"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_written_and_the_path_printed(tmp_path, capsys):
    predict(Rows, tmp_path)
    path = tmp_path / "predictions-0.jsonl"
    assert f"Predictions: {path}" in capsys.readouterr().out
    assert read(path) == OUTCOMES
    assert "é" in path.read_text(encoding="utf-8"), "text stays readable"
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_broken_run_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="no more"):
        predict(Broken, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_process_writes_its_own(tmp_path):
    run_ranks(lambda: predict(Rows, tmp_path, devices=2, strategy="ddp"), 2)
    files = [Path(tmp_path, f"predictions-{rank}.jsonl") for rank in range(2)]
    assert sorted(row for file in files for row in read(file)) == sorted(OUTCOMES)
