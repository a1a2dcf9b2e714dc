"""Data modules are made from plain values, as a recipe has them."""

import jsonargparse
import pytest

from framework.data import (
    CartPole,
    Competition,
    LongTable,
    NpzEpisodes,
    PredictiveData,
    SeriesData,
    StandardScaling,
    TrajectoryData,
    WideTable,
)


def build(recipe):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PredictiveData, "data")
    return parser.instantiate_classes(parser.parse_object({"data": recipe})).data


def test_series_with_the_options_of_all_data():
    source = {"class_path": "Competition", "init_args": {"name": "M1", "frequency": "yearly"}}
    options = {"source": source, "context": 9, "interval": [-4, 4], "scaling": "StandardScaling"}
    data = build({"class_path": "SeriesData", "init_args": {**options, "batch_size": 7}})
    assert isinstance(data, SeriesData)
    assert isinstance(data.source, Competition)
    assert isinstance(data.scaling, StandardScaling)
    assert (data.context, data.interval.high, data.batch_size, data.seed) == (9, 4.0, 7, 0)


def test_trajectories_with_the_options_of_all_data():
    source = {"class_path": "CartPole", "init_args": {"steps": 100, "noise": [0, 1.5]}}
    data = build(
        {"class_path": "TrajectoryData", "init_args": {"source": source, "num_workers": 2}}
    )
    assert isinstance(data, TrajectoryData)
    assert isinstance(data.source, CartPole)
    assert (data.source.levels, data.num_workers) == ((0.0, 1.5), 2)


@pytest.mark.parametrize(
    ("module", "source", "options"),
    [
        ("SeriesData", LongTable, {"path": "a.csv", "id": "shop", "frequency": "D"}),
        ("SeriesData", WideTable, {"path": "a.csv", "columns": ["x", "y"]}),
        ("TrajectoryData", NpzEpisodes, {"path": "episodes", "environment": "CartPole-v1"}),
    ],
)
def test_files_are_read_when_they_are_needed(module, source, options):
    given = {"class_path": source.__name__, "init_args": options}
    assert isinstance(build({"class_path": module, "init_args": {"source": given}}).source, source)


def test_arrays_may_be_written_into_a_recipe():
    source = {"class_path": "Arrays", "init_args": {"values": [[1, 2, 3, float("nan"), 5, 6]]}}
    recipe = {"class_path": "SeriesData", "init_args": {"source": source, "horizon": 1}}
    assert build(recipe).spec.horizon == 1


def test_an_unknown_option_is_refused():
    with pytest.raises(jsonargparse.ArgumentError, match="batchsize"):
        build({"class_path": "SeriesData", "init_args": {"source": "Competition", "batchsize": 3}})
