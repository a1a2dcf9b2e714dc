"""Forecasts with covariates: from rows behind the last value, or refused in a sentence."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import framework
from components.backbones.decoder import Decoder
from components.heads.parametric import NormalHead
from components.stems import SeriesStem
from framework.data import Arrays, LongTable, SeriesData
from framework.forecasting import future
from framework.forecasting.verbs.forecast import run as forecast_verb
from framework.modules import Forecaster
from tests.framework.data.series.test_covariates import AHEAD, LENGTHS, data, table
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import options, train

SMALL = partial(Decoder, dim=16, depth=1, heads=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint of two steps, and the source that it was trained on."""
    folder = tmp_path_factory.mktemp("covariates")
    source = table(folder)
    module = Forecaster(**options(data(source).spec, SeriesStem, NormalHead, SMALL))
    runner = trainer(max_steps=2)
    runner.fit(module, data(source))
    runner.save_checkpoint(folder / "model.ckpt")
    return folder / "model.ckpt", source


def test_future_rows_are_read(run, monkeypatch):
    checkpoint, source = run
    seen = []

    def beside(stem, backbone, head, batch, paths, horizon, scaling, covariates):
        seen.append(covariates.numpy())
        return torch.zeros(len(batch.past), paths.samples, horizon)

    with monkeypatch.context() as patch:
        patch.setattr(future, "roll_forward", beside)
        framework.forecast(checkpoint, source, horizon=AHEAD)
    (found,) = seen
    for k, length in enumerate(LENGTHS):
        rows = length - 6 + np.arange(6 + AHEAD)
        np.testing.assert_array_equal(found[k, :, 0], 1000 * k + rows)
        assert np.isnan(found[k, 6:, 1]).all()
        np.testing.assert_array_equal(found[k, :, 2], 7.5 * (k + 1))
    frame = framework.forecast(checkpoint, source, horizon=AHEAD, paths=3)
    assert np.isfinite(frame["mean"]).all()
    assert frame["time"].astype(str).iloc[[0, -1]].tolist() == ["2026-01-31", "2026-01-27"]


def test_what_the_model_needs_must_be_there(run, tmp_path):
    checkpoint, source = run
    with pytest.raises(
        ValueError, match=r"^Series 'a' has values of price for 3 of the 4 steps to forecast; add"
    ):
        framework.forecast(checkpoint, source, horizon=4)
    bare = table(tmp_path, known=None, past=None, static=None)
    for other, given in ((bare, "no covariates"), (Arrays([[1.0]], season=7), "no covariates")):
        with pytest.raises(ValueError, match=f"the series come with {given}; name the same"):
            framework.forecast(checkpoint, other)
    renamed = table(tmp_path, known=["size"], static=["price"], past=None)
    with pytest.raises(ValueError, match="come with the covariates known size, static price;"):
        framework.forecast(checkpoint, renamed)
    module = Forecaster(**options(data(bare).spec, SeriesStem, NormalHead, SMALL))
    module.configure_model()
    with pytest.raises(ValueError, match="trained with no covariates, the series come with the"):
        framework.forecast(module, table(tmp_path))


def test_the_verb_names_columns_by_lists_or_commas(run, capsys):
    checkpoint, source = run
    words = ["--data.source", "LongTable", f"--data.source.path={source.path}", "--paths=2"]
    columns = ["--data.source.known=price", "--data.source.past=[weather]"]
    forecast_verb([str(checkpoint), *words, *columns, "--data.source.static=size"], "overtone")
    assert "Forecast of 2 series" in capsys.readouterr().out
    two = LongTable(str(source.path), known="price, size", past=["weather"])
    assert [column.name for column in two.beside] == ["price", "size", "weather"]


@pytest.mark.slow
def test_a_known_cause_is_learned(tmp_path):
    """Values are ten times a random column; without it they cannot be foreseen."""
    generator = np.random.default_rng(0)
    cause = generator.integers(1, 6, size=(12, 44))
    rows = {
        "id": np.repeat([f"s{k:02}" for k in range(12)], 44),
        "time": np.tile(np.arange(44), 12),
        "cause": cause.reshape(-1),
        "value": np.where(np.arange(44) < 40, 10.0 * cause, np.nan).reshape(-1),
    }
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    errors = []
    for known in (["cause"], None):
        source = LongTable(str(tmp_path / "t.csv"), known=known)
        series = SeriesData(source, context=8, horizon=4, batch_size=32, interval=(-1, 4))
        torch.manual_seed(0)
        module = Forecaster(**options(series.spec, SeriesStem, NormalHead, SMALL))
        train(module, series, max_steps=120, val_check_interval=120)
        frame = framework.forecast(module, source)
        errors.append(np.abs(frame["0.5"] - 10.0 * cause[:, 40:].reshape(-1)).mean())
    assert errors[0] < 0.4 * errors[1]
