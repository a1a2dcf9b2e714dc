"""The gradient of accumulated, distributed steps is that of one big batch."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.plugins import MixedPrecision

from components import FourierHead, LinearHead, NegativeLogLikelihood, NormalHead
from components.data import DensityBatch
from components.supports import Interval, Tokens
from framework.modules.base import PredictiveModule
from framework.modules.objective import UNIT, Objective
from framework.schedules import Constant
from tests.framework.modules import fakes
from tests.ranks import run_ranks
from tests.waiting import Waits

DESCENT = {"optimizer": partial(torch.optim.SGD, lr=1.0), "schedule": Constant}


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def big_batch_gradient(batch: DensityBatch) -> dict[str, torch.Tensor]:
    """Differentiates the objective as it is documented, over all examples at once."""
    torch.set_default_dtype(torch.float64)  # in a process of its own
    seed_everything(1, verbose=False)
    model = fakes.module()
    model.configure_model()
    distribution = model(batch)
    error = (distribution.mean - batch.target) ** 2
    nll = -distribution.log_prob(batch.target)
    total = sum(
        factor * (term * batch.weight).sum() / batch.weight.sum()
        for factor, term in ((1.0, nll), (0.5, error))
    )
    total.backward()
    return {name: p.grad for name, p in model.named_parameters()}


def accumulated_gradient(world: int, strategy: object, micro: int) -> dict[str, torch.Tensor]:
    """Takes one step of descent over 24 examples in `micro` micro-batches."""
    torch.set_default_dtype(torch.float64)
    seed_everything(1, verbose=False)
    made = strategy() if callable(strategy) else strategy
    model = fakes.module(**DESCENT)
    model.configure_gradient_clipping = lambda *_, **__: kept.update(
        {name: _whole(p.grad).clone() for name, p in model.named_parameters()}
    )
    kept: dict[str, torch.Tensor] = {}
    data = fakes.FakeData(fakes.examples(24, torch.float64), 24 // micro, fakes.examples(7))
    runner = fakes.trainer(
        devices=world,
        strategy=made,
        accumulate_grad_batches=micro,
        max_steps=1,
    )
    runner.fit(model, data)
    return kept


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("world", "strategy", "micro"),
    [
        *((1, "auto", micro) for micro in (1, 3, 4)),
        (2, fakes.fsdp2, 3),
        *(pytest.param(2, fakes.fsdp2, micro, marks=SLOW) for micro in (1, 4)),
        *(pytest.param(2, "ddp", micro, marks=SLOW) for micro in (1, 3, 4)),
    ],
)
def test_gradient_is_that_of_one_big_batch(world, strategy, micro):
    (expected,) = run_ranks(big_batch_gradient, 1, fakes.examples(24, torch.float64))
    for found in run_ranks(accumulated_gradient, world, world, strategy, micro):
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.dtype == torch.float64
            torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_a_mean_of_means_would_be_far_off():
    # what the test above would miss if weights were even
    batch = fakes.examples(24, torch.float64)
    parts = [DensityBatch(*(f[k : k + 8] for f in batch)) for k in (0, 8, 16)]
    whole, *means = (
        run_ranks(big_batch_gradient, 1, part)[0]["head.projection.bias"]
        for part in (batch, *parts)
    )
    assert (sum(means) / 3 - whole).abs().max() > 0.01


def test_logged_means_are_those_of_all_examples_since_the_last():
    seed_everything(1, verbose=False)
    batch = fakes.examples(24)
    model = fakes.module(optimizer=partial(torch.optim.SGD, lr=0.0))
    record = fakes.Record()
    data = fakes.FakeData(batch, 4, fakes.examples(7))
    fakes.trainer(callbacks=[record], max_steps=7, log_every_n_steps=6).fit(model, data)
    with torch.no_grad():
        nll = -model(batch).log_prob(batch.target)
        error = (model(batch).mean - batch.target) ** 2
    total = batch.weight.sum()
    expected = {
        "train/nll": float((nll * batch.weight).sum() / total),
        "train/error": float((error * batch.weight).sum() / total),
    }
    expected["train/loss"] = expected["train/nll"] + 0.5 * expected["train/error"]
    assert len(record.rows) == 2  # the sixth step, and the last
    assert record.rows[0] == pytest.approx({**expected, "lr": 0.0}, rel=1e-6)


def test_a_batch_without_weight_changes_nothing():
    seed_everything(1, verbose=False)
    batch = fakes.examples(8)._replace(weight=torch.zeros(8, 1))
    model = fakes.module(**DESCENT)
    model.configure_model()
    before = fakes.whole(model)
    record = fakes.Record()
    data = fakes.FakeData(batch, 8, batch)
    fakes.trainer(callbacks=[record], max_steps=2).fit(model, data)
    torch.testing.assert_close(fakes.whole(model), before, rtol=0, atol=0)
    assert record.rows == [{"lr": 1.0}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("world", [1, 2])
def test_a_term_that_is_not_finite_is_named_before_it_spoils_the_weights(world, value):
    batch = fakes.examples(8)
    batch.target[0] = value  # one rank of two sees it, all stop

    def train() -> dict[str, object]:
        seed_everything(1, verbose=False)
        model = fakes.module(losses={"squared": fakes.FakeError})
        data = fakes.FakeData(batch, 8, batch)
        strategy = "ddp" if world == 2 else "auto"
        with pytest.raises(ValueError, match=r"'squared' is (nan|inf) at step 0") as error:
            fakes.trainer(devices=world, strategy=strategy).fit(model, data)
        finite = all(bool(p.isfinite().all()) for p in model.parameters())
        return {"message": str(error.value), "finite": finite}

    for rank in run_ranks(train, world):
        assert rank["message"].startswith("PredictiveModule: the loss term 'squared'")
        assert rank["finite"]


def test_terms_without_weight_may_be_anything():
    batch = fakes.examples(4)
    batch.weight[1] = 0.0
    batch.target[1] = float("nan")
    objective = Objective({"nll": fakes.FakeNLL(weight=2.0)}, "Test")
    distribution = torch.distributions.Normal(torch.zeros(4, 1), 1.0, validate_args=False)
    kept = [0, 2, 3]
    expected = (-distribution.log_prob(batch.target) * batch.weight)[kept].sum()
    torch.testing.assert_close(objective.add(distribution, batch), 2.0 * UNIT * expected)
    objective.finalize_step([], step=0)
    mean = float(expected / batch.weight.sum())
    assert objective.means() == pytest.approx({"loss": 2 * mean, "nll": mean})
    assert objective.means() == {}


def test_a_micro_batch_does_not_wait_for_the_device():
    """The gradient is that of the product of the sums with a tensor of the factors, to the bit."""
    batch, loc = fakes.examples(8), torch.zeros(8, 1, requires_grad=True)
    distribution = torch.distributions.Normal(loc, 1.0, validate_args=False)
    losses = {"nll": fakes.FakeNLL(weight=0.3), "squared": fakes.FakeError(weight=0.7)}
    with Waits() as waits:
        Objective(losses, "Test").add(distribution, batch).backward()
    assert waits.read == waits.made == 0
    found, loc.grad = loc.grad, None
    sums = [(loss(distribution, batch.target) * batch.weight).sum() for loss in losses.values()]
    (torch.stack(sums) @ torch.tensor([0.3 * UNIT, 0.7 * UNIT])).backward()
    assert torch.equal(found, loc.grad)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_takes_the_same_steps(precision, fused):
    # a scaler of float16 multiplies the loss; that is undone before gradients are divided
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if precision == "16-mixed" else None
    optimizer = partial(torch.optim.SGD, lr=0.1, fused=fused)
    descent = {"optimizer": optimizer, "schedule": Constant}
    settings = {"gradient_clip_val": 0.5, "accumulate_grad_batches": 2}
    plain = fakes.fit(settings, descent)
    mixed = fakes.fit({**settings, "plugins": MixedPrecision(precision, "cpu", scaler)}, descent)
    for name, value in plain["weights"].items():
        torch.testing.assert_close(mixed["weights"][name], value, rtol=0, atol=0.01)


def test_weights_are_counted_in_single_precision():
    ones = torch.ones(301, 1, dtype=torch.bfloat16)
    objective = Objective({"nll": fakes.FakeNLL()}, "Test")
    distribution = torch.distributions.Normal(torch.zeros(301, 1), 1.0, validate_args=False)
    objective.add(distribution, DensityBatch(ones, 0 * ones, ones))
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.full((1,), UNIT)
    objective.finalize_step([parameter], step=0)
    assert parameter.grad.item() == pytest.approx(1 / 301)


def test_no_term_is_an_error():
    with pytest.raises(ValueError, match="leaves nothing to minimize; name at least one term"):
        PredictiveModule(**fakes.options(losses={}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"losses": [fakes.FakeNLL]}, r"losses is a list; name each term, such as \{'nll'"),
        ({"losses": {"loss": fakes.FakeNLL}}, "cannot be called 'loss', which is the sum of all"),
        ({"losses": {"a.b": fakes.FakeNLL}}, "cannot be called 'a.b', which torch does not allow"),
        ({"losses": {"keys": fakes.FakeNLL}}, "cannot be called 'keys'"),
        ({"losses": {"": fakes.FakeNLL}}, "cannot be called '', which torch does not allow"),
        (
            {"losses": {"nll": fakes.FakeNLL()}},
            r"\['nll'\] is a FakeNLL that is made already",
        ),
        ({"head": torch.nn.Linear(1, 1)}, r"head is a Linear that is .*partial\(Linear, ...\)"),
        ({"backbone": None}, "backbone is None, which makes no part"),
    ],
)
def test_what_is_no_factory_is_one_sentence(options, message):
    with pytest.raises(ValueError, match=f"^PredictiveModule: .*{message}"):
        PredictiveModule(**fakes.options(**options))


@pytest.mark.parametrize(
    ("head", "nothing"),
    [
        (partial(LinearHead, support=Tokens(5)), -100),
        (partial(FourierHead, support=Tokens(5), frequencies=2), -100),
        (partial(FourierHead, support=Interval(0.0, 5.0), frequencies=2), torch.nan),
        (partial(NormalHead, support=Interval(0.0, 5.0)), torch.nan),
        (partial(NormalHead, support=Interval(0.0, 5.0, (2,))), torch.nan),
    ],
)
def test_what_has_no_weight_is_not_read(head, nothing):
    """Neither the terms nor the gradient depend on targets without weight."""
    made, hidden = head(dim=4), torch.randn(2, 3, 4)
    target = torch.randint(5, (2, 3, *made.support.shape)).to(torch.tensor(nothing).dtype)
    weight = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
    found = []
    for filled in (target, target.clone()):
        if found:
            filled[weight == 0] = nothing
        made.zero_grad()
        objective = Objective({"nll": NegativeLogLikelihood()}, "Any")
        objective.add(made(hidden), Any(filled, weight)).backward()
        objective.finalize_step(made.parameters(), 0)
        found.append([objective.means(), *(p.grad.clone() for p in made.parameters())])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert found[0][0]["nll"] > 0


class Any(NamedTuple):
    target: torch.Tensor
    weight: torch.Tensor
