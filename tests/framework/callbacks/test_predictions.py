"""Predictions as JSON lines: complete or absent, in the order of the data, with their ids."""

import json

import numpy as np
import pytest

from framework.callbacks import Predictions
from framework.data import Arrays, InMemory, SeriesData
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


class Fewer(Rows):
    def predict_step(self, batch, batch_idx):
        return super().predict_step(batch, batch_idx)[1:]


def predict(kind, folder, data=None, **changes):
    runner = trainer(default_root_dir=folder, callbacks=[Predictions()], **changes)
    known = FixedData(examples(7)) if data is None else data
    runner.predict(kind(**options()), known, return_predictions=False)


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(path):
    assert [row["id"] for row in rows(path)] == list(range(len(OUTCOMES)))
    return [row["é"] for row in rows(path)]


def test_rows_are_written_and_the_path_printed(tmp_path, capsys):
    predict(Rows, tmp_path)
    path = tmp_path / "predictions.jsonl"
    assert f"Predictions: {path}" in capsys.readouterr().out
    assert read(path) == OUTCOMES
    assert "é" in path.read_text(encoding="utf-8"), "text stays readable"
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_broken_run_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="no more"):
        predict(Broken, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_row_less_than_examples_is_one_sentence(tmp_path):
    with pytest.raises(
        ValueError, match=r"Fewer.predict_step returned 1 rows for 2 examples; return"
    ):
        predict(Fewer, tmp_path)


def test_two_processes_write_one_file_in_order(tmp_path):
    run_ranks(lambda: predict(Rows, tmp_path, devices=2, strategy="ddp"), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]
    assert read(tmp_path / "predictions.jsonl") == OUTCOMES


class Series(Rows):
    """Reads series, which it need not know."""

    def configure_model(self):
        pass

    def predict_step(self, batch, batch_idx):
        return [{"target": values} for values in batch.target.tolist()]


def test_rows_of_series_name_them_and_the_times_that_are_forecast(tmp_path):
    series = [100 * k + np.arange(1, 10.0) for k in range(5)]
    data = SeriesData(Arrays(series), context=4, horizon=2, windows=2, batch_size=3)
    run_ranks(lambda: predict(Series, tmp_path, data, devices=2, strategy="ddp"), 2)
    found = rows(tmp_path / "predictions.jsonl")
    assert [row["id"] for row in found] == [str(k) for k in range(5) for _ in range(2)]
    assert all(
        row["target"] == [100 * int(row["id"]) + time for time in row["time"]] for row in found
    )
    assert [row["time"] for row in found[:2]] == [[6, 7], [8, 9]]


def test_other_data_number_their_examples():
    assert InMemory(examples(7)).identify(3) == {"id": 3}
