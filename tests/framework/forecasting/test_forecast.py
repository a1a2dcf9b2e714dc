"""Forecasts of what follows every series: the verb and the function on a model of two steps."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import cli
import framework
from framework.console.errors import UserError
from framework.data import Arrays, LongTable, MeanScaling, StandardScaling
from framework.forecasting import future
from framework.forecasting.verbs.forecast import run as forecast_verb
from framework.modules.loading import load_module

HORIZON = 3
RECIPE = {
    "model": {
        "class_path": "Forecaster",
        "init_args": {
            "stem": "SeriesStem",
            "backbone": {
                "class_path": "Decoder",
                "init_args": {"dim": 16, "depth": 1, "heads": 2},
            },
            "head": "NormalHead",
            "losses": {"nll": "NegativeLogLikelihood"},
            "optimizer": "torch.optim.AdamW",
        },
    },
    "data": {
        "class_path": "SeriesData",
        "init_args": {
            "source": {"class_path": "LongTable", "init_args": {"value": "sales"}},
            "context": 24,
            "horizon": HORIZON,
            "scaling": "StandardScaling",
            "batch_size": 2,
        },
    },
}


def table(lengths, value="sales", empty=2):
    """Monthly series that end in different months, each followed by rows without a value."""
    parts = []
    for k, length in enumerate(lengths):
        dates = pd.date_range("2020-01-31", periods=length + empty, freq="ME")
        values = np.r_[100.0 + 10 * k + np.arange(length) % 12, np.full(empty, np.nan)]
        parts.append(pd.DataFrame({"id": f"shop {k}", "time": dates, value: values}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two steps through the command line, and the table that it read."""
    folder = tmp_path_factory.mktemp("forecast")
    table([40, 36, 44]).to_csv(folder / "known.csv", index=False)
    RECIPE["data"]["init_args"]["source"]["init_args"]["path"] = str(folder / "known.csv")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    options = ("enable_checkpointing=true", f"default_root_dir={folder}")
    chosen = [f"--trainer.{option}" for option in options]
    cli.main(["fit", "--config", str(folder / "recipe.yaml"), "--config", "smoke", *chosen])
    return folder


@pytest.fixture
def checkpoint(folder):
    return str(folder / "checkpoints" / "last.ckpt")


def months(first, count):
    return list(pd.date_range(first, periods=count, freq="ME"))


def test_every_series_is_continued_after_its_last_value(checkpoint, tmp_path, capsys):
    output, plot = tmp_path / "new" / "f.parquet", tmp_path / "f.png"
    words = ["--paths", "4", "--output", str(output), "--plot", str(plot)]
    forecast_verb([checkpoint, *words], "overtone")
    assert f"Forecast: {output}\nPicture: {plot}" in capsys.readouterr().out
    frame = pd.read_parquet(output)
    assert list(frame.columns) == ["id", "time", "step", "mean", "0.1", "0.5", "0.9"]
    assert frame["id"].tolist() == [f"shop {k}" for k in range(3) for _ in range(HORIZON)]
    ends = ("2023-05-31", "2023-01-31", "2023-09-30")  # after 40, 36 and 44 months
    assert frame["time"].tolist() == [time for end in ends for time in months(end, HORIZON)]
    assert frame["step"].tolist() == [1, 2, 3] * 3
    assert plot.stat().st_size > 10_000


def test_other_series_and_longer_horizons(checkpoint, tmp_path, capsys):
    """Also of series that are shorter than the context of 24 steps, of one value even."""
    path = tmp_path / "new.csv"
    table([1, 9, 60], "value", empty=0).to_csv(path, index=False)
    output = tmp_path / "f.csv"
    source = ["--data.source", "LongTable", f"--data.source.path={path}"]
    options = ["--horizon", "8", "--levels", "0.95,0.05", "--paths=5", f"--output={output}"]
    forecast_verb([checkpoint, *source, *options], "overtone")
    frame = pd.read_csv(output)
    assert list(frame.columns)[3:] == ["mean", "0.05", "0.95"]
    assert len(frame) == 3 * 8
    assert frame["time"].tolist()[:2] == ["2020-02-29", "2020-03-31"]
    assert np.isfinite(frame.iloc[:, 3:].to_numpy()).all()
    assert (frame["0.05"] < frame["0.95"]).all()


def test_without_an_output_some_rows_are_shown(checkpoint, capsys):
    forecast_verb([checkpoint, "--paths=2", "--horizon=7"], "overtone")
    said = capsys.readouterr().out
    assert "Forecast of 3 series" in said
    assert "shop 0  2023-05-31     1" in said
    assert "9 more rows" in said
    assert "All 21 rows are written by --output forecast.csv" in said


@pytest.mark.slow
def test_python_returns_the_same_table(checkpoint, folder):
    source = LongTable(str(folder / "known.csv"), value="sales")
    frames = [
        framework.forecast(model, source, paths=6, seed=3)
        for model in (checkpoint, load_module(checkpoint))
    ]
    pd.testing.assert_frame_equal(*frames)
    assert not frames[0].equals(framework.forecast(checkpoint, source, paths=6, seed=4))


def test_numbers_are_those_of_the_paths(checkpoint, monkeypatch):
    """And the scaling is that of training, without a word about it."""
    seen = {}

    def paths(stem, backbone, head, batch, paths, horizon, scaling, covariates):
        seen.update(batch=batch, scaling=scaling)
        generator = torch.Generator().manual_seed(0)
        return torch.rand(len(batch.past), paths.samples, horizon, generator=generator)

    monkeypatch.setattr(future, "roll_forward", paths)
    values = np.arange(1.0, 31)
    frame = framework.forecast(checkpoint, Arrays([values, values], season=12), horizon=5)
    drawn = torch.rand(2, 100, 5, generator=torch.Generator().manual_seed(0)).double().numpy()
    np.testing.assert_allclose(frame["mean"], drawn.mean(1).reshape(-1))
    np.testing.assert_allclose(frame["0.9"], np.quantile(drawn, 0.9, axis=1).reshape(-1))
    assert frame["time"].tolist() == [31, 32, 33, 34, 35] * 2
    assert isinstance(seen["scaling"], StandardScaling)
    np.testing.assert_array_equal(seen["batch"].past[0], values[-24:])
    np.testing.assert_allclose(seen["batch"].loc[0], values[-24:].mean())


def test_a_series_with_an_unknown_forecast_is_named(checkpoint, folder, monkeypatch):
    def drawn(*args):
        found = roll_forward(*args)
        found[1, 3, 0] = torch.nan
        return found

    roll_forward = future.roll_forward
    monkeypatch.setattr(future, "roll_forward", drawn)
    with pytest.raises(ValueError, match="predicts NaN for series 'shop 1'; look for"):
        framework.forecast(checkpoint, LongTable(folder / "known.csv", value="sales"))


def test_small_steps_at_a_high_level_are_not_rounded(checkpoint):
    """Float32 would round them to multiples of 128, also where paths are continued."""
    values = 2e9 + np.arange(60) % 12
    frame = framework.forecast(checkpoint, Arrays([values], season=12), horizon=7, paths=1)
    relative = frame["mean"].to_numpy() - 2e9
    assert (np.abs(relative) < 1000).all()
    assert (relative % 128 > 0.01).all()


def test_another_season_is_said(checkpoint):
    with pytest.warns(UserWarning, match="a season of 7 steps, those of training had one of 12"):
        framework.forecast(checkpoint, Arrays([range(1, 30)], season=7), paths=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        framework.forecast(checkpoint, Arrays([range(1, 30)], season=12), paths=1)


WRONG = {
    "--levels=0": "--levels=0 must be numbers between 0 and 1",
    "--levels=0.5,1": "--levels=0.5,1 must be numbers between 0 and 1",
    "--levels=2": "--levels=2 must be",
    "--levels=low": "--levels=low must be",
    "--levels=0.5,0.5": "each once",
    "--levels=": "--levels= must be",
    "--levels=nan": "--levels=nan must be",
    "--horizon=0": "horizon=0 is too small; use at least 1",
    "--horizon=-3": "horizon=-3 is too small",
    "--horizon=soon": "horizon: expected int",
    "--paths=0": "paths=0 is too small",
    "--seed=-1": "seed=-1 is too small; use at least 0",
    "--output=f.txt": "f.txt must end in .parquet or .csv",
    "--plot=f.csv": "f.csv must end in .png",
    "--output=/proc/f.csv": "/proc/f.csv cannot be written there",
    "--data.context=3": "there is no option --data.context; did you mean --data.source?",
}


@pytest.mark.parametrize("option", WRONG)
def test_what_is_wrong_is_said_before_the_work(checkpoint, option, monkeypatch):
    monkeypatch.setattr(future, "load_panel", None)
    with pytest.raises((UserError, ValueError)) as error:
        forecast_verb([checkpoint, option], "overtone")
    assert WRONG[option] in str(error.value)


@pytest.mark.parametrize("levels", [[0.0], [1], 1, 2.0, ["low"], [float("nan")], [], [0.5, 0.5]])
def test_levels_in_python_are_checked(levels):
    with pytest.raises(ValueError, match=r"^forecast: .* use (one|some) such as .*\.$"):
        framework.forecast("there-is-none.ckpt", Arrays([[1.0]]), levels=levels)


def test_levels_may_be_an_array_or_one_number(checkpoint):
    source = Arrays([np.arange(60.0)], season=12)
    wanted = framework.forecast(checkpoint, source, horizon=2, paths=5, levels=(0.1, 0.5))
    levels = np.linspace(0.1, 0.5, 2)
    given = framework.forecast(checkpoint, source, horizon=2, paths=5, levels=levels)
    pd.testing.assert_frame_equal(given, wanted)
    one = framework.forecast(checkpoint, source, horizon=np.int64(2), paths=5, levels=0.5)
    pd.testing.assert_frame_equal(one, wanted.drop(columns="0.1"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"source": pd.DataFrame({"value": [1.0]})},
            "source is a DataFrame, from which",
        ),
        ({"source": "sales.csv"}, "source is a str, from which .* give a LongTable"),
        ({"horizon": 2.5}, "horizon=2.5 is no whole number"),
        ({"paths": "9"}, "paths=9 is no whole number"),
    ],
)
def test_what_python_gives_is_checked(given, message):
    with pytest.raises(ValueError, match=f"^forecast: {message}"):
        framework.forecast("there-is-none.ckpt", **{"source": Arrays([[1.0]]), **given})


def test_nothing_is_overwritten(checkpoint, tmp_path):
    for option, name in (("--output", "f.csv"), ("--plot", "f.png")):
        (tmp_path / name).write_text("kept")
        with pytest.raises(UserError, match="exists already; choose another name"):
            forecast_verb([checkpoint, option, str(tmp_path / name)], "overtone")
        assert (tmp_path / name).read_text() == "kept"


def test_an_empty_series_is_named(checkpoint, tmp_path):
    frame = table([30, 30])
    frame.loc[frame["id"] == "shop 1", "sales"] = np.nan
    frame.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(ValueError, match=r"series 'shop 1' has no finite value; leave it out\."):
        forecast_verb([checkpoint, f"--data.source.path={tmp_path / 'p.csv'}"], "overtone")


def test_other_checkpoints_are_refused(checkpoint, tmp_path):
    held = torch.load(checkpoint, weights_only=True)
    held["hyper_parameters"] |= {"spec": None, "_class_path": "framework.LanguageModel"}
    torch.save(held, tmp_path / "text.ckpt")
    with pytest.raises(ValueError, match=r"holds a LanguageModel, which forecasts no series; "):
        forecast_verb([str(tmp_path / "text.ckpt")], "overtone")
    with pytest.raises(ValueError, match="There is no checkpoint"):
        forecast_verb([str(tmp_path / "none.ckpt")], "overtone")
    with pytest.raises(UserError, match="needs a checkpoint first"):
        forecast_verb(["--horizon", "3"], "overtone")


def test_a_checkpoint_alone_needs_series(checkpoint, tmp_path):
    held = torch.load(checkpoint, weights_only=True)
    torch.save(held, tmp_path / "alone.ckpt")
    with pytest.raises(UserError, match=r"No recipe beside .* choose one with --data\.source\."):
        forecast_verb([str(tmp_path / "alone.ckpt")], "overtone")


def test_a_level_that_the_scaling_keeps_is_refused(checkpoint):
    source = Arrays([2e9 + np.arange(40.0) % 7], season=12)
    with pytest.raises(ValueError, match="varies by little around 2e\\+09: MeanScaling leaves"):
        future.forecast(checkpoint, source, scaling=MeanScaling())
    forecast = future.forecast(checkpoint, source, horizon=2 * HORIZON)
    assert (forecast["mean"] - 2e9).abs().max() < 100
