"""Every picture draws without a display, is labelled, and shows the numbers it was given."""

import numpy as np
import pytest
import torch
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framework.figures import (
    Actions,
    Fan,
    draw_actions,
    draw_densities,
    draw_fans,
    draw_forecasts,
    draw_function,
    draw_next_tokens,
)
from framework.tasks.arithmetic.figures import draw_cells, draw_equations
from framework.tasks.lagged_sines.figures import draw_sequences

torch.manual_seed(0)
LEVELS = [k / 10 for k in range(1, 10)]
WORDS = ["the", " state", " $x$", "\n", "\t", " 統", "\x00", " union"]


def decode(tokens):
    return "".join(WORDS[token] for token in tokens)


def next_tokens():
    probs = torch.randn(4, len(WORDS)).softmax(-1)
    tokens = torch.randint(len(WORDS), (40,))
    return draw_next_tokens(tokens, probs, torch.arange(40) % 8, [0, 9, 20, 39], decode, top=3)


def forecasts():
    observed = torch.ones(3, 24, dtype=torch.bool)
    observed[1, :5] = False
    weight = torch.ones(3, 6)
    weight[2, 4:] = 0
    quantiles = torch.randn(3, 6, 9).sort(-1).values
    return draw_forecasts(
        torch.randn(3, 24), observed, torch.randn(3, 6), weight, quantiles, LEVELS
    )


def futures():
    """Dates, of which nothing came yet, and levels without a middle."""
    days = np.datetime64("2026-01-30") + np.arange(12)
    past = np.where(np.arange(8) == 3, np.nan, np.arange(8.0))
    quantiles = np.sort(np.random.default_rng(0).normal(size=(4, 2)))
    return draw_fans(
        [Fan("shop $7$", days[:8], past, days[8:], quantiles)] * 3, [0.05, 0.9], "day"
    )


def futures_at_one_level():
    fan = Fan("N1402", np.arange(3), np.arange(3.0), np.arange(3, 5), np.ones((2, 1)))
    return draw_fans([fan], [0.9], "time")


def choices():
    distribution = Actions(torch.randn(1, 12, 5).softmax(-1), torch.randint(5, (1, 12)).float())
    return draw_actions(torch.arange(12), torch.arange(5), distribution, distribution, "number")


def quantities():
    distribution = Actions(torch.randn(3, 12, 48).softmax(-1), torch.randn(3, 12))
    return draw_actions(
        torch.arange(12), torch.linspace(-2, 2, 48), distribution, distribution, "N m"
    )


def densities():
    values = torch.linspace(-1, 1, 50)
    return draw_densities(values, torch.rand(7, 50), torch.rand(7) - 0.5, torch.rand(7, 50))


def densities_of_unknown_truth():
    return draw_densities(torch.linspace(0, 1, 9), torch.rand(1, 9), torch.rand(1))


def functions():
    x = torch.linspace(-2, 2, 50)
    return draw_function(x, x.sin(), x.cos(), torch.rand(9), torch.rand(9), x.tan())


def equations():
    return draw_equations(torch.rand(9, 12), (2, 3), 5, "c = (a + b) mod 9")


def cells():
    return draw_cells(torch.tensor([[1.0, 0.5, 0.25], [0.75, 0.0, 0.125]]), "c = a · b")


def sequences():
    task = torch.tensor([[True, False, True, False, False]]).expand(6, 5)
    return draw_sequences(torch.arange(30.0).view(6, 5), torch.zeros(6, 5), task)


ALL = [
    next_tokens,
    forecasts,
    futures,
    futures_at_one_level,
    choices,
    quantities,
    densities,
    densities_of_unknown_truth,
    functions,
    equations,
    cells,
    sequences,
]


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_figures_are_drawn_and_labelled(draw):
    figure = draw()
    assert isinstance(figure, Figure)
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel() == "probability"
        else:
            assert axes.get_xlabel()
            assert axes.get_ylabel()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba())[..., :3].std() > 0


def test_units_are_named():
    labels = {axes.get_ylabel() for axes in quantities().axes}
    assert "action 2 (N m)" in labels
    assert forecasts().axes[0].get_xlabel() == "time (steps after the last known value)"
    assert densities().axes[0].get_ylabel() == "density (per unit)"


def test_a_function_goes_through_its_means_and_a_deviation_to_either_side():
    (axes,) = functions().axes
    x = np.linspace(-2, 2, 50, dtype=np.float32)
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(lines["predicted"], np.sin(x), atol=1e-6)
    np.testing.assert_allclose(lines["truth"], np.tan(x), rtol=1e-4)
    assert len(lines["examples"]) == 9
    (band,) = axes.collections
    highest = band.get_paths()[0].vertices[:, 1].max()
    assert highest == pytest.approx((np.sin(x) + np.cos(x)).max(), rel=1e-5)


def test_the_token_that_came_is_always_listed():
    probs = torch.tensor([[0.1, 0.2, 0.3, 0.05, 0.15, 0.12, 0.07, 0.01]])
    figure = draw_next_tokens(torch.tensor([0]), probs, torch.tensor([7]), [0], decode, top=2)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["·$x$", "·state", "·union"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.3, 0.2, 0.01], rel=1e-6)
    assert any("rank 8" in text.get_text() for text in axes.texts)


def test_unknown_values_leave_gaps():
    figure = forecasts()
    past = figure.axes[1].lines[1].get_ydata()
    assert np.isnan(past[:5]).all()
    assert not np.isnan(past[5:]).any()
    came = figure.axes[2].lines[-1].get_ydata()
    assert np.isnan(came).tolist() == [False] * 4 + [True] * 2


def test_shares_are_those_of_the_batch():
    distribution = Actions(torch.randn(1, 40, 3).softmax(-1), torch.randint(3, (1, 40)).float())
    figure = draw_actions(torch.arange(40), torch.arange(3), distribution, distribution, "number")
    taken, predicted = figure.axes[1].patches
    counts = np.bincount(distribution.taken[0].long().numpy(), minlength=3) / 40
    np.testing.assert_allclose(taken.get_data().values, counts)
    np.testing.assert_allclose(
        predicted.get_data().values, distribution.probabilities[0].mean(0).numpy(), rtol=1e-6
    )


def test_cells_stand_where_their_lengths_say():
    [axes] = cells().axes
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {
        (1, 1): "1.00",
        (1, 2): "0.50",
        (1, 3): "0.25",
        (2, 1): "0.75",
        (2, 2): "0.00",
        (2, 3): "0.12",
    }
    assert axes.images[0].get_array().tolist() == [[1.0, 0.75], [0.5, 0.0], [0.25, 0.125]]


def test_sequences_show_what_happened_in_the_task_and_beside_it():
    panels = sequences().axes
    assert len(panels) == 4
    for k, axes in enumerate(panels):
        _, task, beside = axes.collections
        first = 5 * k
        assert task.get_offsets().tolist() == [[1, first], [3, first + 2]]
        places = [[2, first + 1], [4, first + 3], [5, first + 4]]
        assert beside.get_offsets().tolist() == places
        [said] = axes.lines
        assert said.get_ydata().tolist() == [0] * 5


def test_no_global_state():
    """Pyplot would keep every figure alive."""
    draw_next_tokens(torch.tensor([0]), torch.ones(1, 8) / 8, torch.tensor([7]), [0], decode)
    assert Gcf.get_all_fig_managers() == []


def test_fans_say_what_they_span():
    labels = [
        [text.get_text() for text in draw().legends[0].get_texts()]
        for draw in (forecasts, futures, futures_at_one_level)
    ]
    assert labels[0] == ["past", "80% interval", "20% interval", "median", "what came"]
    assert labels[1] == ["past", "85% interval"]
    assert labels[2] == ["past", "quantile 0.9"]
