"""Pictures of probes, positions and gradients show the numbers that they are given."""

import math

import torch

from framework.papers.myopic import GradientParts
from framework.papers.myopic.figures import draw_gradients, draw_positions, draw_probes


def shown(axes):
    """The heights of the lines that have a name."""
    return {
        line.get_label(): line.get_ydata().tolist()
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_a_line_a_layer():
    r2 = torch.tensor([[0.0, 0.0], [0.75, 0.25], [-0.5, math.nan]], dtype=torch.float64)
    axes = draw_probes(["x", "y"], r2).axes[0]
    lines = shown(axes)
    assert list(lines) == ["embedding", "layer 1", "layer 2"]
    assert lines["layer 1"] == [0.75, 0.25]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y"]
    assert axes.get_ylim()[0] < -0.5


def test_gaps_stand_beside_losses():
    losses = {"vanilla": torch.tensor([3.0, 2.0]), "hidden": torch.tensor([3.5, 2.5])}
    gap, error = torch.tensor([0.5, 0.25]), torch.tensor([0.1, 0.1])
    left, right = draw_positions(losses, {"hidden - vanilla": (gap, error)}).axes
    assert shown(left) == {"vanilla": [3.0, 2.0], "hidden": [3.5, 2.5]}
    assert right.lines[0].get_ydata().tolist() == [0.5, 0.25]
    assert len(draw_positions(losses, {}).axes) == 1


def test_norms_and_cosine_over_steps():
    splits = [GradientParts(5.0, 4.0, 3.0, 0.5), GradientParts(2.0, 1.0, 1.0, -0.5)]
    sizes, angles = draw_gradients([0, 100], splits, "optimizer steps").axes
    assert shown(sizes) == {"total": [5.0, 2.0], "myopic": [4.0, 1.0], "future": [3.0, 1.0]}
    assert angles.lines[0].get_ydata().tolist() == [0.5, -0.5]
    assert angles.lines[0].get_xdata().tolist() == [0, 100]
