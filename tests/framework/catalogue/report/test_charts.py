"""Charts keep inside their bounds what they draw, and values beside where they lie."""

import math
import re
from itertools import pairwise

import pytest

from framework.catalogue.report.charts import (
    HEIGHT,
    MOST,
    WIDTH,
    Line,
    bar_chart,
    line_chart,
    thin,
)
from framework.catalogue.report.scales import TICKS, Scale, scale_of

VALUES = {
    "of one value": [3.0, 3.0],
    "zero": [0.0],
    "negative": [-5.0, -1e-3],
    "tiny": [1e-30, 3e-30],
    "large": [1e30, 2e30],
    "close": [7.8901, 7.8903],
    "of many decades": [1e-6, 4.0, 1e5],
    "of both signs": [-1e5, 1e-5],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_ticks_are_few_and_lie_between_the_ends(values):
    scale = scale_of(values, 200, 0)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= TICKS
    assert all(0 <= scale(each) <= 200 for each in (*ticks, *values))
    assert scale.logarithmic == (values == VALUES["of many decades"])
    assert scale(scale.low) == pytest.approx(200)
    assert scale(scale.high) == pytest.approx(0)


def places(path):
    return [[tuple(map(float, pair.split())) for pair in part.split("L")] for part in path]


def test_a_line_lies_where_its_values_do_and_breaks_where_they_are_missing():
    points = [(0, 0.0), (10, 1.0), (20, math.nan), (30, math.inf), (40, 2.0), (50, 3.0)]
    chart = line_chart("a", [Line("b", points, 9)])
    (path,) = re.findall(r' d="M([^"]*)"', chart.svg)
    first, second = places(path.split("M"))
    assert len(first) == len(second) == 2
    ups = [up for _, up in first + second]
    steps = [above - below for above, below in pairwise(ups)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2), "values rise by one each"
    assert steps[0] > 0, "upwards"
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in first + second)
    assert 'class="line stroke-2"' in chart.svg, "colors repeat"
    assert chart.note == "2 values are not finite."
    assert 'data-values="0 1 2 3"' in chart.svg


def test_long_lines_keep_their_extremes_and_ends():
    points = [(step, math.sin(step / 50)) for step in range(10_000)]
    points[4321], points[8765] = (4321, 99.0), (8765, math.nan)
    kept = thin(points)
    assert len(kept) <= MOST + 1
    assert {points[0][0], points[-1][0], 4321} <= {step for step, _ in kept}
    assert kept == sorted(kept, key=lambda point: point[0])


def test_bars_have_the_heights_of_their_shares():
    chart = bar_chart("a", [0.2, 0.3, 0.5], 1 / 3, "x", "note")
    heights = [float(each) for each in re.findall(r'height="([\d.]+)"', chart.svg)]
    shares = [height / sum(heights) for height in heights]
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=2e-3)


def test_a_single_step_has_a_place():
    assert 'd="M' in line_chart("a", [Line("b", [(7, 1.0)], 0)]).svg
    assert Scale(6, 8, 0, 10)(7) == 5
