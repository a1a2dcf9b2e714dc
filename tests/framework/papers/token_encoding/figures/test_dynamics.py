"""The picture of dynamics shows what it is given, from step 0 on."""

import pytest

from framework.papers.token_encoding.figures.dynamics import draw_dynamics


def test_scores_and_loss_over_the_logarithm_of_steps():
    steps, losses = [0, 1, 16, 256], [8.0, 7.5, 6.0, 4.0]
    scores = {"frequency": [0.0, 0.1, 0.6, 0.9], "input": [0.0, 0.0, 0.0, 0.1]}
    axes, twin = draw_dynamics(steps, scores, losses).axes
    lines = {line.get_label(): line for line in axes.lines}
    for name, values in scores.items():
        assert lines[name].get_xdata().tolist() == steps
        assert lines[name].get_ydata().tolist() == values
    [loss] = twin.lines
    assert loss.get_ydata().tolist() == losses
    places = axes.transData.transform([(step, 0) for step in (0, 1, 16, 256)])[:, 0]
    assert places[0] < places[1]
    assert places[3] - places[2] == pytest.approx(places[2] - places[1])
    assert "loss" in lines
