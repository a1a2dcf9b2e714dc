"""The report: the table that ends a run, and pictures that can be opened."""

import gc
import json
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from matplotlib.figure import Figure
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.heads.parametric import NormalHead
from components.stems import SeriesStem
from framework.callbacks import MetricsReport
from framework.callbacks.report import uncovered
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays
from framework.evaluation.forecasting import Paths
from framework.modules import Forecaster
from framework.modules.base import PredictiveModule
from tests.framework.modules.fakes import data, options, trainer
from tests.framework.modules.parts import options as parts_of
from tests.ranks import run_ranks

# of the fake: stem, two blocks, norm, head
PARAMETERS = (3 * 8 + 8) + 2 * (8 * 8 + 8) + 2 * 8 + (8 * 2 + 2)


class Drawing(PredictiveModule):
    """Draws the predicted means of a batch, and remembers for which it was asked."""

    def __init__(self, **changes):
        super().__init__(**changes)
        self.asked, self.drawn = [], []

    def figures(self, batch):
        self.asked.append(batch.target.clone())
        with torch.no_grad():
            mean = self(batch).mean
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot(mean[:, 0])
        self.drawn.append(weakref.ref(figure))
        return {"means": figure}


VALIDATE = {"limit_val_batches": 1.0, "val_check_interval": 2, "check_val_every_n_epoch": None}


def table_of(text):
    """Reads the printed table back."""
    lines = text[text.index("metric") :].splitlines()
    head = lines[0].split()
    rows = [line for line in lines[2:] if re.match(r"\w+  ", line)]
    starts = [lines[0].index(word) + len(word) for word in head]
    return {
        (row.split()[0], stage): row[before:end].strip()
        for row in rows
        for stage, before, end in zip(head[1:], starts, starts[1:], strict=False)
    }


@pytest.mark.parametrize("logger", [TensorBoardLogger, CSVLogger])
def test_a_run_ends_with_a_table_and_a_picture(logger, tmp_path, capsys):
    model = Drawing(**options())
    runner = trainer(logger=logger(tmp_path), callbacks=[MetricsReport()], **VALIDATE)
    runner.fit(model, data())
    out = capsys.readouterr().out
    assert "Metrics after 4 steps" in out
    shown = table_of(out)
    for stage, name in (("train", "loss"), ("val", "nll"), ("val", "out_of_support")):
        value = float(runner.callback_metrics[f"{stage}/{name}"])
        assert float(shown[name, stage]) == pytest.approx(value, rel=1e-4)
    path = Path(re.search(r"Picture: (.*)", out)[1])
    assert path.is_absolute()
    assert path.is_relative_to(runner.log_dir)
    assert imread(path).shape[:2] == (120, 240)
    assert np.ptp(imread(path)) > 0


def test_the_same_batch_is_drawn_after_every_validation(tmp_path):
    model = Drawing(**options())
    trainer(
        logger=TensorBoardLogger(tmp_path),
        callbacks=[MetricsReport()],
        num_sanity_val_steps=1,
        **VALIDATE,
    ).fit(model, data())
    assert len(model.asked) == 2, "after steps 2 and 4, not in the sanity check"
    assert torch.equal(*model.asked)
    (folder,) = Path(tmp_path).rglob("version_0")
    events = EventAccumulator(str(folder)).Reload()
    assert [image.step for image in events.Images("means")] == [2, 4]


def test_earlier_pictures_are_freed(tmp_path, monkeypatch):
    """Parts of a figure refer to each other: Python frees it when it looks for such circles."""
    monkeypatch.setattr("framework.callbacks.report.SECONDS", 0)
    model = Drawing(**options())
    gc.disable()
    try:
        callbacks = [MetricsReport()]
        trainer(default_root_dir=tmp_path, callbacks=callbacks, **VALIDATE).fit(model, data())
        assert [held() is None for held in model.drawn[:-1]] == [True]
    finally:
        gc.enable()


def test_numbers_are_kept_for_programs(tmp_path):
    model = Drawing(**options())
    runner = trainer(default_root_dir=tmp_path, callbacks=[MetricsReport()], **VALIDATE)
    runner.fit(model, data())
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert kept["val/nll"] == float(runner.callback_metrics["val/nll"])
    assert kept["parameters"] == PARAMETERS
    assert kept["steps"] == runner.global_step
    assert kept["seconds"] >= 0


def test_a_run_without_validation_says_why(tmp_path, capsys):
    runner = trainer(
        default_root_dir=tmp_path,
        callbacks=[MetricsReport()],
        **{**VALIDATE, "val_check_interval": 500},
    )
    runner.fit(Drawing(**options()), data())
    assert (
        "before the first validation (trainer.val_check_interval=500)" in capsys.readouterr().out
    )


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_evaluations_end_with_one_table(verb, tmp_path, capsys):
    model = Drawing(**options())
    runner = trainer(default_root_dir=tmp_path, callbacks=[MetricsReport()], limit_val_batches=1.0)
    getattr(runner, verb)(model, data())
    out = capsys.readouterr().out
    assert out.count("out_of_support") == 1, "and none of Lightning's own"
    stage = {"validate": "val", "test": "test"}[verb]
    assert float(table_of(out)["nll", stage]) == pytest.approx(
        float(runner.callback_metrics[f"{stage}/nll"]), rel=1e-4
    )
    assert (tmp_path / "figures" / "means.png").exists()


@pytest.mark.slow
def test_simple_forecasts_stand_beside_those_of_a_model(tmp_path, capsys):
    """Each is scored on the windows that the model was scored on, here those of one batch."""
    series = [np.arange(40.0) * k % 7 for k in (1, 2, 3)] + [np.ones(40)]
    source = SeriesData(Arrays(series, season=50), context=8, horizon=2, batch_size=4)
    source.eval_batch_size = 2
    parts = parts_of(source.spec, SeriesStem, NormalHead)
    model = Forecaster(**parts, paths=Paths(samples=3, in_validation=True))
    report = {"default_root_dir": tmp_path, "callbacks": [MetricsReport()], "max_steps": 2}
    batches = {"limit_val_batches": 1, "val_check_interval": 2, "check_val_every_n_epoch": None}
    trainer(**report, **batches).fit(model, source)
    out = capsys.readouterr().out
    header, _, *rows = out[out.index("metric") :].splitlines()
    assert re.split(r"\s{2,}", header) == [
        *("metric", "train", "val", "seasonal naive", "naive", "drift")
    ]
    batch = next(iter(source.val_dataloader()))
    expected = (batch.target - batch.past[:, -1:]).abs()
    shown = next(re.split(r"\s{2,}", row) for row in rows if row.startswith("mae"))
    assert float(shown[3]) == pytest.approx(expected.mean().item(), rel=1e-4)
    assert next(row for row in rows if row.startswith("nll")).split()[3:] == []
    assert "past of 2 of 2 windows is shorter than a season of 50 steps" in out
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert kept["baselines/naive/val/mae"] == pytest.approx(expected.mean().item())
    own = {name for name in kept if not name.startswith("baselines/")}
    assert not any("naive" in name for name in own)
    noted = {name.split("/", 2)[2] for name in kept.keys() - own}
    assert noted < own, "metrics that were measured"
    first = source.dataset("val").identify(0)
    title = model.figures(batch)["forecasts"].axes[0].get_title(loc="left")
    assert title == f"{first['id']}, from {first['time'][0]}"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_one_of_many_processes_writes(strategy, tmp_path):
    """All draw, or a sharded forward pass would wait for ever; the first one saves."""

    def fit():
        from lightning.pytorch.strategies import ModelParallelStrategy

        made = {"ddp": "ddp", "fsdp2": ModelParallelStrategy(2, 1)}[strategy]
        model = Drawing(**options())
        trainer(
            default_root_dir=tmp_path,
            callbacks=[MetricsReport()],
            strategy=made,
            devices=2,
            **VALIDATE,
        ).fit(model, data())
        return len(model.asked)

    assert run_ranks(fit, 2) == [2, 2]
    assert [path.name for path in tmp_path.rglob("*.png")] == ["means.png"]
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert kept["parameters"] == PARAMETERS, "of the whole model, also where it is sharded"


def test_targets_that_a_head_does_not_cover_are_said():
    rates = {"val/out_of_support": 0.944, "test/out_of_support": 0.01}
    (said,) = uncovered({name: torch.tensor(rate) for name, rate in rates.items()})
    assert said.startswith("94.4% of the targets (val) lie outside of what the head covers")
