"""Data that a model was not trained on are scaled as those that it was trained on, or refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from components.supports import Interval, Tokens
from framework.data import Arrays, DensityData, LongTable, MeanScaling, SeriesData, StandardScaling
from framework.data.density.problems import Table
from framework.data.trajectories.module import TrajectoryData
from tests.framework.data.trajectories.test_module import Fixed, made


def checkpoint(data, **more):
    found = {"hyper_parameters": {"spec": data.spec}, **more}
    data.store(found)
    return found


def houses(folder, name, unit, columns=("area", "rooms")):
    generator = np.random.default_rng(0)
    table = {column: unit * generator.uniform(1, 3, 60) for column in columns}
    path = folder / f"{name}.csv"
    pd.DataFrame({**table, "price": unit * generator.uniform(5, 9, 60)}).to_csv(path, index=False)
    return DensityData(Table(str(path), "price"))


def test_features_of_a_table_keep_the_unit_of_training(tmp_path):
    trained, larger = houses(tmp_path, "trained", 1.0), houses(tmp_path, "larger", 10.0)
    mean, std = (torch.tensor(trained.source.scales()[name]) for name in ("mean", "std"))
    alone = houses(tmp_path, "larger", 10.0).dataset("test").batch.features
    larger.restore(checkpoint(trained))
    assert larger.spec == trained.spec
    raw = 10 * (trained.dataset("test").batch.features * std + mean)
    expected = ((raw - mean) / std).float()
    torch.testing.assert_close(larger.dataset("test").batch.features, expected)
    assert not torch.allclose(alone, expected)


def test_other_features_are_refused(tmp_path):
    trained = checkpoint(houses(tmp_path, "trained", 1.0))
    other = houses(tmp_path, "other", 1.0, ("area", "floor"))
    with pytest.raises(ValueError, match=r"are area, floor, those of the model area, rooms; name"):
        other.restore(trained)


def test_rows_that_were_split_in_another_way_are_refused(tmp_path):
    trained = houses(tmp_path, "a", 1.0)
    other = DensityData(Table(str(tmp_path / "a.csv"), "price", seed=5))
    with pytest.raises(ValueError, match=r"split by val, test, seed = 0.1, 0.1, 0 in training"):
        other.restore(checkpoint(trained))


def test_an_outcome_that_never_changes_is_refused(tmp_path):
    pd.DataFrame({"area": np.arange(60.0), "price": 3.0}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"column 'price' of '.*a.csv' ranges from 3 to 3"):
        _ = DensityData(Table(str(tmp_path / "a.csv"), "price")).spec


def episodes(scale=1.0, **options):
    found = made(**options)
    found = found._replace(observation=scale * found.observation)
    return TrajectoryData(Fixed(found, name=f"restored {scale} {options}"), length=4)


def test_observations_and_returns_keep_the_scale_of_training():
    trained, other = episodes(), episodes(scale=5.0, seed=3)
    own = other.spec
    other.restore(checkpoint(trained))
    for name in ("support", "mean", "std", "return_scale", "longest"):
        assert getattr(other.spec, name) == getattr(trained.spec, name)
    assert own.mean != other.spec.mean
    assert other.spec.data_return == own.data_return  # a fact of the data, not of the model


def test_fewer_choices_are_those_of_training_and_more_are_refused():
    data = episodes()
    choices = data.spec.support
    assert isinstance(choices, Tokens)
    found = checkpoint(data)
    more = replace(data.spec, support=Tokens(choices.size + 2))
    data.restore({"hyper_parameters": {"spec": more}})
    assert data.spec.support == more.support
    fewer = replace(data.spec, support=Tokens(choices.size - 1))
    with pytest.raises(ValueError, match=r"actions are Tokens.*, the model was trained on Tokens"):
        episodes().restore({"hyper_parameters": {"spec": fewer}})
    with pytest.raises(ValueError, match=r"shape \(3,\), the model was trained on \(2,\)"):
        episodes(observation=(3,)).restore(found)


def test_series_that_are_scaled_in_another_way_are_refused():
    series = Arrays([np.arange(40.0)])
    trained = SeriesData(series, context=6, horizon=2, scaling=StandardScaling())
    same = SeriesData(series, context=6, horizon=2, scaling=StandardScaling())
    same.restore(checkpoint(trained))
    for options, said in (
        ({"scaling": MeanScaling()}, r"scaled by StandardScaling .*; drop data.scaling"),
        ({"scaling": StandardScaling(), "interval": (-5.0, 5.0)}, r"say .*; drop data.interval"),
    ):
        with pytest.raises(ValueError, match=said):
            SeriesData(series, context=6, horizon=2, **options).restore(checkpoint(trained))


def test_covariates_keep_the_scale_of_training(tmp_path):
    def read(name, price):
        path = tmp_path / f"{name}.csv"
        months = pd.date_range("2020-01-01", periods=40, freq="MS")
        frame = {"id": "a", "time": months, "value": np.arange(40.0), "price": price}
        pd.DataFrame(frame).to_csv(path, index=False)
        return SeriesData(LongTable(str(path), known="price"), context=6, horizon=2)

    trained, other = read("a", np.arange(40) % 5), read("b", 7.0 * (np.arange(40) % 5))
    other.restore(checkpoint(trained))
    assert other.spec.covariates == trained.spec.covariates
    assert other.spec.covariates[0].mean < 3


def test_outcomes_keep_the_range_of_training(tmp_path):
    trained, other = houses(tmp_path, "a", 1.0), houses(tmp_path, "b", 2.0)
    other.restore(checkpoint(trained))
    assert isinstance(other.spec.support, Interval)
    assert other.spec.support == trained.spec.support
