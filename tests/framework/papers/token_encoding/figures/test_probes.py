"""What pictures of probes show is what they are given."""

import math

import torch

from framework.papers.token_encoding.figures.probes import (
    draw_components,
    draw_contexts,
    draw_fits,
    draw_saliency,
)


def test_fits_show_every_token_once_and_where_both_are_equal():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(500, generator=generator)
    target[:3] = math.nan
    predicted = target + 0.1 * torch.randn(500, generator=generator)
    figure = draw_fits({"-log alpha": (target, predicted), "other": (target, predicted)})
    axes = figure.axes[0]
    assert axes.get_ylabel() == "-log alpha (nats)"
    [cells] = axes.collections
    assert cells.get_array().sum() == 497
    [line] = axes.lines
    assert line.get_slope() == 1
    assert line.get_xy1()[0] == line.get_xy1()[1]
    assert [a.get_title(loc="left") for a in figure.axes[:2]] == ["-log alpha", "other"]


def test_nothing_to_show():
    axes = draw_fits({"x": (torch.full((9,), math.nan), torch.zeros(9))}).axes[0]
    assert not axes.collections


def test_saliency_is_sorted():
    figure = draw_saliency(torch.tensor([0.5, -2.0, 1.0]), {1: 0.25, 3: 0.75})
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [2.0, 1.0, 0.5]
    assert right.lines[0].get_xdata().tolist() == [1, 3]
    assert right.lines[0].get_ydata().tolist() == [0.25, 0.75]
    assert len(draw_saliency(torch.ones(3)).axes) == 1


def test_components_are_colored_by_the_rank_of_probability():
    scores = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    alpha = torch.tensor([0.9, 1e-9, 1e-3])
    axes = draw_components(scores, [0.5, 0.25], alpha).axes[0]
    [dots] = axes.collections
    assert dots.get_offsets().tolist() == scores.tolist()
    assert dots.get_array().tolist() == [100.0, 0.0, 50.0]
    assert axes.get_xlabel() == "component 1 (50 %)"


def test_cosines_over_contexts():
    axes = draw_contexts({16: -0.2, 64: 0.9}).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [16, 64]
    assert axes.lines[0].get_ydata().tolist() == [-0.2, 0.9]
    assert axes.get_ylim()[0] <= -0.2
