"""Tables against the package that holds them."""

import numpy as np
import pytest
from tsdata import fpp3

from framework.data.series.module import SeriesData
from framework.data.series.recorded import LAYOUTS, FppTable


@pytest.mark.parametrize(
    ("table", "season"),
    [("pelt", 1), ("aus_production", 4), ("canadian_gas", 12), ("gafa_stock", 5), ("ansett", 1)],
)
def test_seasons_follow_from_the_calendar(table, season):
    assert FppTable(table).read().season == season


def test_half_hours_are_in_order():
    panel = FppTable("vic_elec").read()
    assert panel.season == 48
    series = dict(zip(panel.name, panel.series(), strict=True))
    raw = fpp3.raw["vic_elec"]
    assert list(series) == ["Demand", "Temperature"]
    for name, values in series.items():
        np.testing.assert_array_equal(values, raw[name].to_numpy(np.float32))


def test_ids_tell_series_apart():
    panel = FppTable("aus_arrivals").read()
    raw = fpp3.raw["aus_arrivals"]
    for name, values in zip(panel.name, panel.series(), strict=True):
        origin = raw[raw.Origin == name.removeprefix("Arrivals/")]
        np.testing.assert_array_equal(values, origin.Arrivals.to_numpy(np.float32))


def test_nights_without_calls_stay_missing():
    values = FppTable("bank_calls").read().values
    raw = fpp3.raw["bank_calls"].Calls.to_numpy(np.float32)
    np.testing.assert_array_equal(values[np.isfinite(values)], raw)
    assert 0.5 < np.isnan(values).mean() < 0.6


def test_a_table_can_be_a_benchmark():
    assert SeriesData(FppTable("us_gasoline", horizon=8)).spec.horizon == 8


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match=r"no table 'nyc_bikes'; choose one of .*vic_elec"):
        FppTable("nyc_bikes")
    assert set(LAYOUTS) < set(fpp3.raw)
