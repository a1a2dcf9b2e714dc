"""Learning curves and scaling pictures show means, deviations and every single run."""

import statistics

import numpy as np
import pytest

from framework.figures.curves import LoggedValue, draw_curves
from framework.figures.scaling import draw_scaling
from framework.figures.style import COLORS, LINES, looks

VALUES = {("plain", 1): [4.0, 2.0], ("plain", 2): [5.0, 3.5], ("fan", 1): [3.0, 1.0]}
POINTS = [
    LoggedValue(variant, seed, metric, step, value + (metric == "train/nll"))
    for metric in ("val/nll", "train/nll")
    for (variant, seed), values in VALUES.items()
    for step, value in zip((50, 100), values, strict=True)
]


def test_a_panel_a_metric_and_a_line_a_variant():
    figure = draw_curves(POINTS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["val/nll", "train/nll"]
    for axes, more in zip(figure.axes, (0, 1), strict=True):
        named = {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}
        assert list(named) == ["plain", "fan"]
        np.testing.assert_allclose(named["plain"].get_xdata(), [50, 100])
        np.testing.assert_allclose(named["plain"].get_ydata(), [4.5 + more, 2.75 + more])
        np.testing.assert_allclose(named["fan"].get_ydata(), [3.0 + more, 1.0 + more])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "fan"]


def test_the_band_is_a_deviation_over_seeds_and_the_seeds_are_behind_it():
    axes = draw_curves(POINTS).axes[0]
    band = axes.collections[0].get_paths()[0].vertices
    middle, half = 2.75, statistics.stdev([2.0, 3.5])
    ends = {y for x, y in band.tolist() if x == 100}
    assert min(ends) == pytest.approx(middle - half)
    assert max(ends) == pytest.approx(middle + half)
    faint = [line.get_ydata().tolist() for line in axes.lines if line.get_alpha()]
    assert faint == [[4.0, 2.0], [5.0, 3.5]]  # one seed alone is its own mean


def test_a_run_that_ended_early_counts_as_long_as_it_went():
    points = [*POINTS[:3], *POINTS[4:6]]
    axes = draw_curves(points).axes[0]
    (plain,) = [line for line in axes.lines if line.get_label() == "plain"]
    np.testing.assert_allclose(plain.get_ydata(), [4.5, 2.0])


@pytest.mark.parametrize(("small", "scale"), [(1e-3, "log"), (0.5, "linear"), (-1.0, "linear")])
def test_errors_of_many_magnitudes_get_a_logarithmic_axis(small, scale):
    points = [LoggedValue("x", 1, "val/error", 1, 1.0), LoggedValue("x", 1, "val/error", 2, small)]
    assert draw_curves(points).axes[0].get_yscale() == scale


def test_a_result_is_drawn_against_the_size_by_kind():
    kinds = {
        "plain": [[(400.0, 1.5)], [(100.0, 2.0), (100.0, 3.0)]],
        "fan": [[(100.0, 1.0)]],
    }
    (axes,) = draw_scaling(kinds, "parameters", "val/nll").axes
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("parameters", "val/nll")
    plain, fan = (container.lines for container in axes.containers)
    np.testing.assert_allclose(plain[0].get_xydata(), [[100, 2.5], [400, 1.5]])
    np.testing.assert_allclose(fan[0].get_xydata(), [[100, 1.0]])
    (bars,), half = plain[2], statistics.stdev([2.0, 3.0])
    np.testing.assert_allclose(bars.get_segments()[0], [[100, 2.5 - half], [100, 2.5 + half]])
    runs = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert [100.0, 2.0] in runs[1]
    assert [100.0, 3.0] in runs[1]


def test_no_two_lines_look_alike():
    several = len(COLORS) + 3
    assert len(set(looks(several))) == several
    assert {line for _, line in looks(len(COLORS))} == {LINES[0]}
