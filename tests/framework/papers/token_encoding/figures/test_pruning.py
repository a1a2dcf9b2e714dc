"""The picture of deleted dimensions shows every order, random ones alike, and the claim."""

import pytest

from framework.figures.style import CONTEXT
from framework.papers.token_encoding.figures.pruning import draw_pruning

FRACTIONS = [0.0, 0.25, 0.5]
CONTROLS = ["random 0", "random 1", "random 2"]


def curves(scale):
    names = ["absA_sd", *CONTROLS, "reverse"]
    return {name: [0.0, scale * (k + 1), 2 * scale * (k + 1)] for k, name in enumerate(names)}


def test_a_panel_a_measure_and_way_and_a_line_an_order():
    costs = {"zeros": curves(0.1), "mean folded": curves(0.05)}
    stays = {"zeros": curves(0.01), "mean folded": curves(0.02)}
    figure = draw_pruning(FRACTIONS, costs, stays, CONTROLS, 0.3)
    panels = figure.axes
    assert len(panels) == 4
    shown = [*costs.values(), *stays.values()]
    for axes, expected in zip(panels, shown, strict=True):
        lines = [line.get_ydata().tolist() for line in axes.lines[:-1]]
        assert sorted(lines) == sorted(expected.values())
        assert axes.lines[0].get_xdata().tolist() == [0.0, 25.0, 50.0]
        assert axes.lines[-1].get_xdata() == pytest.approx([30.0, 30.0])  # the claim
        assert sum(line.get_color() == CONTEXT for line in axes.lines[:-1]) == 3
    assert panels[0].get_yscale() == "log"
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said[:3] == ["absA_sd", "reverse", "random (3 orders)"]
    assert said[3].startswith("30%")
