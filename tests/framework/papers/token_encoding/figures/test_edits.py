"""Pictures of edits: medians of what came, and a line a rule."""

import torch

from framework.papers.token_encoding.figures.edits import draw_edits

ASKED = torch.tensor([0.5, 0.5, 2.0, 2.0, 2.0])
CAME = torch.tensor([0.6, 0.8, 1.5, 1.6, 1.9])


def test_medians_by_what_was_asked():
    rules = {("whiten", False): (ASKED, CAME), ("whiten", True): (ASKED, ASKED)}
    figure = draw_edits({"fit": rules, "val": rules})
    assert len(figure.axes) == 2
    first, second, *_ = figure.axes[0].get_lines()
    assert first.get_xdata().tolist() == [0.5, 2.0]
    torch.testing.assert_close(torch.tensor(first.get_ydata()).float(), torch.tensor([0.7, 1.6]))
    assert first.get_color() == second.get_color()
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "whiten",
        "whiten, calibrated",
    ]


def test_single_tokens_are_points():
    figure = draw_edits({"fit": {("mlr", False): (torch.tensor([2.0]), torch.tensor([1.5]))}})
    assert figure.axes[0].get_lines()[0].get_linestyle() == "None"
