"""The guard against training on what is tested: planted overlaps, and those of real tables."""

import numpy as np
import pytest

from framework.data.series.panels import Panel, load_panel, store_panel
from framework.data.series.recorded import LAYOUTS, FppTable, fpp_tables
from framework.papers.chronos.benchmarks import competitions
from framework.papers.chronos.overlaps import Overlap, overlaps, refuse_overlaps


def panel(*series):
    return Panel.of({str(k): values for k, values in enumerate(series)})


def walks(count, length, seed):
    return list(np.random.default_rng(seed).normal(size=(count, length)).cumsum(1))


def test_planted_stretches_are_found_in_any_unit():
    tested, trained = walks(6, 40, 0), walks(6, 300, 1)
    trained[2][100:118] = 0.37 * tested[3][-18:] - 1000
    trained[4][-24:] = np.round(5000 * tested[4][-24:])
    trained[5][50:67] = tested[0][-18:-1]  # not all of its end
    found = overlaps(panel(*trained), {"a": panel(*tested[:4]), "b": panel(*tested[4:])})
    assert sorted(found) == [Overlap("2", 102, "a", "3"), Overlap("4", 284, "b", "0")]


def test_nothing_is_found_across_series_or_gaps():
    (tested,) = walks(1, 30, 4)
    gap = tested.copy()
    gap[-5] = np.nan
    wanted = {"a": panel(tested)}
    assert overlaps(panel(tested[:-8], tested[-8:]), wanted) == []
    assert overlaps(panel(gap), wanted) == []
    assert overlaps(panel(tested[:9]), wanted) == []
    assert overlaps(panel(tested), {"a": panel(tested[-15:])}) == []
    assert overlaps(panel(np.ones(40)), {"a": panel(np.ones(40))}) == []
    assert overlaps(panel(tested), wanted) == [Overlap("0", 14, "a", "0")]


def test_sorting_finds_what_all_pairs_give():
    """Segments of few levels agree often."""
    rng = np.random.default_rng(5)
    trained, tested = rng.integers(0, 2, 4000) * 1.0, rng.integers(0, 2, (40, 16)) * 1.0
    found = overlaps(panel(trained), {"a": panel(*tested)})
    windows = np.lib.stride_tricks.sliding_window_view(trained, 16)
    equal = (windows[:, None] == tested).all(-1)
    expected = [Overlap("0", int(a), "a", str(b)) for a, b in zip(*equal.nonzero(), strict=True)]
    assert sorted(found) == sorted(expected)
    assert len(expected) > 1


def test_a_source_with_the_end_of_a_benchmark_is_refused():
    benchmarks = {"tourism_quarterly": competitions()["tourism_quarterly"]}
    message = "4 segments of FppTable .* 'Arrivals/NZ' from step 90 .* of tourism_quarterly"
    with pytest.raises(ValueError, match=message):
        refuse_overlaps([FppTable("aus_arrivals")], benchmarks)
    refuse_overlaps([FppTable("tourism")], benchmarks)


@pytest.mark.slow
def test_other_tables_hold_no_benchmark():
    """Seconds, for 660,000 segments and 4,600 ends; the recipe `chronos_small` checks it too."""
    tables = fpp_tables()
    assert len(tables) == len(LAYOUTS) - 2
    refuse_overlaps(tables, competitions())
    for table in tables:
        panel = load_panel(store_panel(table))
        assert np.isfinite(panel.values[panel.first]).all()
        assert len(set(panel.name)) == len(panel.name)
