"""The density model against closed forms, with real parts."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence
from torch.distributions import StudentT as TorchStudent

from components.backbones.positionwise import MLP
from components.data import DensityBatch, DensitySpec
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import NormalHead
from components.stems import FeatureStem
from components.supports import Interval
from framework.modules import DensityModel
from tests.framework.modules.parts import FixedData, options, train, trainer

SPEC = DensitySpec(Interval(-3.0, 3.0), features=2)
BACKBONE = partial(MLP, dim=16, depth=1)


def batch():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(40, 2, generator=generator)
    target = features[:, :1] * 0.5 + 0.3 * torch.randn(40, 1, generator=generator)
    return DensityBatch(features, target, (torch.rand(40, 1, generator=generator) > 0.2).float())


class Known(FixedData):
    """Knows the distribution that its outcomes come from."""

    def truth(self, batch):
        return Normal(batch.features[:, :1] * 0.5, 0.3, validate_args=False)


def model(head=NormalHead):
    return DensityModel(**options(SPEC, FeatureStem, head, BACKBONE))


def test_metrics_of_a_normal_distribution_equal_closed_forms():
    module = model()
    metrics = train(module, Known(batch(), size=16))
    known = batch()
    with torch.no_grad():
        distribution = module.eval()(known)
    loc, std = distribution.mean.double().numpy(), distribution.stddev.double().numpy()
    y, w = known.target.double().numpy(), known.weight.double().numpy()
    z = (y - loc) / std  # Gneiting & Raftery (2007), equation 21
    crps = std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    truth = Normal(known.features[:, :1].double() * 0.5, 0.3)
    kl = kl_divergence(truth, Normal(torch.from_numpy(loc), torch.from_numpy(std))).numpy()

    def mean(x):
        return (x * w).sum() / w.sum()

    assert metrics["val/nll"] == pytest.approx(mean(-norm.logpdf(y, loc, std)), rel=1e-5)
    assert metrics["val/crps"] == pytest.approx(mean(crps), rel=1e-4)
    assert metrics["val/squared_error"] == pytest.approx(mean((y - loc) ** 2), rel=1e-5)
    assert metrics["val/kl"] == pytest.approx(mean(kl), rel=1e-3)
    assert metrics["val/kl_cells"] == pytest.approx(mean(kl), rel=1e-3)
    assert metrics["val/perplexity"] == pytest.approx(np.exp(mean(-norm.logpdf(y, loc, std))))


def test_no_divergence_from_an_unknown_truth():
    assert "val/kl" not in train(model(), FixedData(batch(), size=16))


@pytest.mark.parametrize("head", [LinearHead, FourierHead, NormalHead], ids=lambda h: h.__name__)
@pytest.mark.parametrize("data", [FixedData, Known])
def test_two_steps_figures_and_predictions(head, data):
    module, served = model(head), data(batch(), size=16)
    assert np.isfinite(list(train(module, served).values())).all()
    figure = module.figures(batch())["densities"]
    drawn = [line.get_label() for line in figure.axes[0].lines]
    assert ("truth" in drawn) == (data is Known)
    curve = next(line for line in figure.axes[0].lines if line.get_label() == "predicted")
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    with torch.no_grad():
        distribution = module(batch())
    within = (distribution.cdf(torch.tensor(3.0)) - distribution.cdf(torch.tensor(-3.0)))[0].item()
    assert area == pytest.approx(within, rel=0.02)
    rows = [row for rows in trainer().predict(module, served) for row in rows]
    assert [row["target"] for row in rows] == batch().target[:, 0].tolist()
    assert all(row["std"] > 0 for row in rows)
    quantiles = torch.tensor([list(row["quantiles"].values()) for row in rows])
    assert list(rows[0]["quantiles"]) == [f"0.{k}" for k in range(1, 10)]
    levels = distribution.cdf(quantiles.T.unsqueeze(-1))[..., 0]
    tenths = torch.arange(1, 10).unsqueeze(-1) / 10
    torch.testing.assert_close(levels, tenths.expand_as(levels), rtol=0, atol=1e-4)


class StudentHead(NormalHead):
    """Predicts a distribution of torch that has no quantiles."""

    def forward(self, hidden, targets=None):
        distribution = super().forward(hidden)
        return TorchStudent(5.0, distribution.mean, distribution.stddev, validate_args=False)


def test_what_has_no_quantiles_is_predicted_without_them():
    module, given = model(StudentHead), batch()
    given.target[3] = float("nan")  # unknown
    batches = trainer().predict(module, FixedData(given, size=16))
    rows = [row for rows in batches for row in rows]
    assert set(rows[0]) == {"mean", "std", "target"}
    assert [k for k, row in enumerate(rows) if row["target"] is None] == [3]


class Line(FixedData):
    """Knows the mean that its outcomes have."""

    def mean(self, batch):
        return 0.5 * batch.features[:, :1]


@pytest.mark.parametrize("data", [FixedData, Line])
def test_of_one_feature_the_function_is_drawn_on_twice_its_range(data):
    spec, given = DensitySpec(Interval(-3.0, 3.0), features=1), batch()
    given = given._replace(features=given.features[:, :1])
    module = DensityModel(**options(spec, FeatureStem, NormalHead, BACKBONE))
    train(module, data(given, size=16))
    with torch.no_grad():
        (axes,) = module.figures(given)["function"].axes
    lines = {line.get_label(): line for line in axes.lines}
    low, high = given.features.min().item(), given.features.max().item()
    middle, half = (low + high) / 2, (high - low) / 2
    x = lines["predicted"].get_xdata()
    assert (x[0], x[-1]) == pytest.approx((middle - 2 * half, middle + 2 * half), rel=1e-5)
    np.testing.assert_array_equal(lines["examples"].get_ydata(), given.target[:, 0])
    with torch.no_grad():
        distribution = module(given)
    read = np.interp(given.features[:, 0], x, lines["predicted"].get_ydata())
    np.testing.assert_allclose(read, distribution.mean[:, 0], atol=1e-3)
    assert ("truth" in lines) == (data is Line)
    if data is Line:
        np.testing.assert_allclose(lines["truth"].get_ydata(), 0.5 * x, rtol=1e-5)
