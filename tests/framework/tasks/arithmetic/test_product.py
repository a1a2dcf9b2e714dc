"""The model that multiplies: one that is right for short factors only, and one with real parts."""

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.nn.functional import one_hot

from components.distributions.categorical import Categorical
from components.heads import LinearHead
from components.stems import TokenStem
from framework.evaluation.generation import Sampling, generate
from framework.tasks.arithmetic import EquationModel, Multiplication, ProductData
from tests.framework.modules.parts import options, train, trainer


def data(**changes):
    return ProductData(Multiplication(2), **{"batch_size": 4, "validation": 10, **changes})


def model(kind=EquationModel):
    return kind(**options(data().spec, TokenStem, LinearHead))


class Short(EquationModel):
    """Multiplies by numbers below 10 on the right, and is wrong in the last digit for others."""

    def forward(self, batch):
        wrong = batch.tokens[:, 4] > 0  # the tens of the second factor
        said = batch.target.clone()
        said[wrong, -1] = (said[wrong, -1] + 1) % 10
        learned = 0 * sum(p.sum() for p in self.parameters())
        return Categorical(6 * one_hot(said, 12).float() + learned)


def shares():
    """Accuracy of `Short` by group, by brute force over the examples."""
    module, right = data(), {}
    for index in range(40):
        batch = module.dataset("val").__getitems__([index])
        right.setdefault(index % 4, []).append(float(batch.tokens[0, 4] == 0))
    return [sum(found) / len(found) for found in right.values()]


def test_accuracy_is_told_by_the_lengths_of_the_factors():
    metrics = train(model(Short), data())
    found = [metrics[f"val/accuracy_{cell}"] for cell in ("1x1", "1x2", "2x1", "2x2")]
    assert found == pytest.approx(shares())
    assert found[0] == found[2] == 1 > max(found[1], found[3])
    assert metrics["val/accuracy"] == pytest.approx(sum(found) / 4)


def test_the_picture_shows_the_same():
    module = model(Short)
    train(module, data())
    figure = module.figures(data().dataset("val").__getitems__([0]))["cells"]
    [axes] = figure.axes
    shown = axes.images[0].get_array()  # rows are lengths of the second factor
    expected = shares()
    assert shown.ravel().tolist() == pytest.approx([expected[k] for k in (0, 2, 1, 3)])
    assert [text.get_text() for text in axes.texts] == [f"{share:.2f}" for share in expected]
    FigureCanvasAgg(figure).draw()


def test_right_is_what_is_written_token_by_token():
    """Whatever the model writes is made the answer, and then another one of half of the rows."""
    torch.manual_seed(0)
    module, batch = model(), data().dataset("val").__getitems__(list(range(8)))
    module.configure_model()
    asked = batch.tokens[:, :6]  # up to "="
    parts = (module.stem, module.backbone, module.head)
    with torch.no_grad():
        written = generate(*parts, asked, Sampling(length=4, temperature=0.0))
        written[::2, 1] = (written[::2, 1] + 1) % 12
        row = torch.cat((asked, written), 1)
        told = batch._replace(tokens=row[:, :-1], target=row[:, 1:])
        right, each = module.metrics(module(told), told)["accuracy"]
    assert right.tolist() == [0, 1] * 4
    assert each.tolist() == [1] * 8


def test_prediction_writes_a_product_for_each_question():
    module = model()
    train(module, data())
    rows = [row for rows in trainer().predict(module, data(validation=3)) for row in rows]
    assert len(rows) == 12
    for row in rows:
        first, second = row["prompt"].rstrip("=").split("*")
        assert row["answer"] == str(int(first) * int(second))
        assert row["text"]
