"""The prompt model against closed forms and brute force over its own predictions."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import norm, truncnorm

from components.heads import FourierHead, LinearHead, NormalHead, QuantileHead
from components.stems import TokenStem
from framework.tasks.random_numbers import DescribedNormals, PromptData, PromptModel
from framework.tasks.random_numbers.normals import NORMALS
from tests.framework.modules.parts import FixedData, options, train, trainer

EDGES = np.linspace(-1, 1, 21)
HEADS = [partial(LinearHead, bins=200), partial(FourierHead, bins=200), FourierHead, NormalHead]


def data():
    return PromptData(DescribedNormals(train=8), batch_size=4)


def model(head=NormalHead, spec=None, **changes):
    return PromptModel(**options(spec or data().spec, TokenStem, head), **changes)


def true_masses():
    distributions = [truncnorm((-1 - m) / s, (1 - m) / s, m, s) for m, s in NORMALS]
    return np.stack([np.diff(distribution.cdf(EDGES)) for distribution in distributions])


def test_the_exact_distance_of_a_normal_distribution_is_a_closed_form():
    module = model()
    metrics = train(module, data())
    with torch.no_grad():
        distribution = module.eval()(data().dataset("test").__getitems__([0, 1, 2, 3]))
    mean, std = distribution.mean.double().numpy(), distribution.stddev.double().numpy()
    masses = np.diff(norm(mean, std).cdf(EDGES), axis=-1)
    difference = np.abs(masses - true_masses())
    expected = (difference.sum(-1) + 1 - masses.sum(-1)) / 2  # what lies beyond is wrong
    assert metrics["val/tvd_exact"] == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_distances_of_many_samples_and_of_the_distribution_agree(head):
    metrics = train(model(head, samples=20000), data())
    assert metrics["val/tvd"] == pytest.approx(metrics["val/tvd_exact"], abs=0.02)
    assert metrics["val/unique"] > 100


def test_the_distance_of_samples_is_that_of_their_histogram():
    module = model(samples=128)
    metrics = train(module, data())
    rows = [row for rows in trainer().predict(module, data()) for row in rows]
    drawn = np.array([row["numbers"] for row in rows])
    assert drawn.shape == (4, 128)
    shares = np.stack([np.histogram(row, EDGES)[0] for row in drawn]) / 128
    beyond = 1 - shares.sum(-1)
    expected = (np.abs(shares - true_masses()).sum(-1) + beyond) / 2
    assert metrics["val/tvd"] == pytest.approx(expected.mean(), rel=1e-4)
    unique = [len(set(np.round(row, 2).tolist())) for row in drawn]
    assert metrics["val/unique"] == pytest.approx(np.mean(unique), abs=0.5)
    assert [row["prompt"] for row in rows] == [p.text for p in data().prompts["test"]]


@pytest.mark.parametrize("head", [*HEADS, QuantileHead])
def test_two_steps_and_figures(head):
    module = model(head)
    served = data()
    metrics = train(module, served)
    assert np.isfinite(list(metrics.values())).all()
    figure = module.figures(served.dataset("test").__getitems__([0, 1, 2, 3]))["densities"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(
        np.trapezoid(lines["truth"].get_ydata(), lines["truth"].get_xdata()), 1, atol=1e-3
    )
    assert "predicted" in lines


def test_no_distance_from_an_unknown_truth():
    batch = data().dataset("train").__getitems__(list(range(8)))
    metrics = train(model(), FixedData(batch))
    assert not {"val/tvd", "val/tvd_exact", "val/unique"} & set(metrics)
    rows = trainer().predict(model(), FixedData(batch))[0]
    assert rows[0]["prompt"] == data().prompt_tokens(batch)[0], "tokens where nothing decodes"


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match=r"PromptModel compares nothing with samples=0, cells=20"):
        model(samples=0)
