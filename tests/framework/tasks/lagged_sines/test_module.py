"""The model of sequences: its metrics, against a loop over the formula of the loss."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Normal

from components.heads import LinearHead, PointHead
from components.losses import Huber
from components.stems import FeatureStem, Unscaled
from framework.tasks.lagged_sines import LaggedSines, SequenceData, SequenceModel
from tests.framework.modules.parts import DECODER, FixedData, options, train, trainer

STEM = partial(FeatureStem, scale=Unscaled, std=0.02)


def data(share=0.5, **changes):
    source = LaggedSines(3, 4.0, share)
    return SequenceData(source, **{"length": 6, "validation": 10, "batch_size": 4, **changes})


def model(kind=SequenceModel, head=PointHead):
    parts = options(data().spec, STEM, head)
    return kind(**{**parts, "losses": {"huber": Huber}})


class Copies(SequenceModel):
    """Says the number of the position, which is right beside the task; trains nothing."""

    def forward(self, batch):
        learned = 0 * sum(p.sum() for p in self.parameters())
        return Normal(batch.features[..., 0] + learned, 1.0, validate_args=False)


def huber(error):
    return error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5


def losses(module, said):
    """Huber losses on the task, beside it, and of zeros on the task, position by position."""
    batch = module.dataset("val").__getitems__(list(range(10)))
    found = {"task": [], "rest": [], "zero": []}
    for (x, z), y, mean in zip(
        batch.features.flatten(0, 1).tolist(),
        batch.target.flatten().tolist(),
        said(batch).flatten().tolist(),
        strict=True,
    ):
        found["task" if z else "rest"].append(huber(mean - y))
        if z:
            found["zero"].append(huber(-y))
        assert math.isfinite(x)
    return {name: (np.mean(values), len(values)) for name, values in found.items()}


def assert_metrics(metrics, module, said):
    (task, asked), (rest, others), (zero, _) = losses(module, said).values()
    whole = (task * asked + rest * others) / (asked + others)
    expected = {
        "huber": whole,
        "task_huber": task,
        "rest_huber": rest,
        "zero_huber": zero,
        "task_share": asked / (asked + others),
        "normalized_huber": task / zero,
        "huber_per_task": whole * (asked + others) / asked,
    }
    found = {name: metrics[f"val/{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_metrics_equal_brute_force():
    metrics = train(model(Copies), data())
    assert metrics["val/rest_huber"] == 0
    assert_metrics(metrics, data(), lambda batch: batch.features[..., 0])


@pytest.mark.parametrize("head", [PointHead, partial(LinearHead, bins=16)], ids=["point", "bins"])
def test_metrics_of_real_parts_equal_brute_force(head):
    module = model(head=head)
    metrics = train(module, data())
    with torch.no_grad():
        assert_metrics(metrics, data(), lambda batch: module.eval()(batch).mean)


@pytest.mark.parametrize(("share", "missing"), [(1.0, "rest_huber"), (0.0, "task_huber")])
def test_positions_that_do_not_occur_are_not_reported(share, missing):
    metrics = train(model(Copies), data(share))
    names = {name.partition("/")[2] for name in metrics if name.startswith("val/")}
    assert missing not in names
    assert "huber" in names
    assert ("normalized_huber" in names) == (share == 1.0)
    assert all(math.isfinite(value) for value in metrics.values())


def test_all_positions_are_the_task_where_the_data_do_not_tell():
    batch = data().dataset("val").__getitems__(list(range(6)))
    metrics = train(model(Copies), FixedData(batch))
    assert metrics["val/task_huber"] == metrics["val/huber"]
    assert metrics["val/task_share"] == 1


def test_rows_hold_what_was_said_and_what_happened():
    module = model()
    train(module, data())
    rows = [row for rows in trainer().predict(module, data()) for row in rows]
    batch = data().dataset("test").__getitems__(list(range(10)))
    assert [row["target"] for row in rows] == batch.target.tolist()
    assert [row["task"] for row in rows] == (batch.features[..., 1] == 1).tolist()
    with torch.no_grad():
        mean = module.eval()(batch).mean
    torch.testing.assert_close(torch.tensor([row["mean"] for row in rows]), mean)


def test_the_picture_shows_outcomes_and_means():
    module = model(Copies)
    train(module, data())
    batch = data().dataset("val").__getitems__([0, 1])
    figure = module.figures(batch)["sequences"]
    assert len(figure.axes) == 2
    said = figure.axes[1].lines[0].get_ydata()
    np.testing.assert_allclose(said, batch.features[1, :, 0], rtol=1e-6)


@pytest.mark.slow
def test_a_model_learns_to_copy():
    """One who always says 0 has E huber(x) = 0.42 for x ~ N(0, 1), known by quadrature."""
    parts = options(data().spec, STEM, partial(PointHead, unit=1.0), DECODER)
    module = SequenceModel(**{**parts, "losses": {"huber": Huber}})
    metrics = train(module, data(0.0, batch_size=32), max_steps=60, val_check_interval=60)
    nothing, _ = integrate.quad(lambda x: huber(x) * stats.norm.pdf(x), -9, 9)
    assert metrics["val/rest_huber"] < nothing / 4


def test_other_data_are_refused():
    with pytest.raises(ValueError, match=r"SequenceModel reads data that publish a SequenceSpec"):
        SequenceModel(**{**options({}, STEM, PointHead), "losses": {"huber": Huber}})
