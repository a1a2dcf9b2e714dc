"""The Fourier head and its regularizers in training: on many ranks, in bfloat16, masked."""

import math
from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything
from torch.distributions import Distribution

from components.data import DensityBatch
from components.heads import FourierHead
from components.losses import CoefficientPenalty, NegativeLogLikelihood, Roughness
from framework.modules.objective import UNIT, Objective
from tests.framework.modules import fakes
from tests.ranks import run_ranks

NLL = {"nll": NegativeLogLikelihood}
REGULARIZED = {
    **NLL,
    "penalty": partial(CoefficientPenalty, weight=1e-3),
    "roughness": partial(Roughness, weight=1e-2),
}
DENSITY = partial(FourierHead, frequencies=6, init="official")
CELLS = partial(DENSITY, bins=40)


def train(
    world: int, strategy: object, head: partial, losses: dict, dtype: torch.dtype, **settings
) -> dict:
    """Takes four steps of two micro-batches with uneven weights."""
    torch.set_default_dtype(dtype)  # float64 in processes of their own
    seed_everything(1, verbose=False)
    made = strategy() if callable(strategy) else strategy
    model = fakes.module(head=head, losses=losses)
    record = fakes.Record()
    data = fakes.FakeData(fakes.examples(48, dtype), 8, fakes.examples(7, dtype))
    runner = fakes.trainer(
        devices=world,
        strategy=made,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        callbacks=[record],
        **settings,
    )
    runner.fit(model, data)
    return {"weights": fakes.whole(model), "rows": record.rows}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "losses"),
    [(DENSITY, NLL), (CELLS, REGULARIZED)],
    ids=["density", "regularized cells"],
)
def test_ranks_give_the_weights_of_one_process(head, losses):
    run = (head, losses, torch.float64)
    (alone,) = run_ranks(train, 1, 1, "auto", *run)
    for strategy in ("ddp", fakes.fsdp2):
        for found in run_ranks(train, 2, 2, strategy, *run):
            torch.testing.assert_close(found["weights"], alone["weights"], rtol=0, atol=1e-12)
            for row, expected in zip(found["rows"], alone["rows"], strict=True):
                assert row == pytest.approx(expected, rel=1e-10)


def test_regularizers_are_in_what_is_minimized():
    run = (CELLS, NLL, torch.float64), (CELLS, REGULARIZED, torch.float64)
    plain, regularized = (run_ranks(train, 1, 1, "auto", *each)[0] for each in run)
    moved = regularized["weights"]["head.projection.weight"]
    assert (moved - plain["weights"]["head.projection.weight"]).abs().max() > 1e-3
    for row in regularized["rows"]:
        whole = row["train/nll"] + 1e-3 * row["train/penalty"] + 1e-2 * row["train/roughness"]
        assert row["train/loss"] == pytest.approx(whole, rel=1e-12)
        assert min(row["train/penalty"], row["train/roughness"]) > 0


@pytest.mark.parametrize("loss", [CoefficientPenalty, Roughness])
@pytest.mark.parametrize("bins", [None, 40])
def test_positions_without_weight_are_not_regularized(loss, bins):
    torch.manual_seed(0)
    head = FourierHead(4, fakes.SPEC.support, 6, bins, init="official").double()
    hidden = torch.randn(5, 3, 4, dtype=torch.float64)
    weight = torch.tensor([[1.0, 0.0, 2.0]] * 5, dtype=torch.float64)
    hidden[:, 1] *= 1e3  # what padding makes of the head does not matter
    term = loss(weight=0.5)
    batch = DensityBatch(hidden[..., 0], hidden[..., 0], weight)
    found = Objective({"term": term}, "Test").add(head(hidden), batch)
    kept = [0, 2]
    values = term(head(hidden[:, kept]), batch.target[:, kept])
    expected = 0.5 * UNIT * (values * weight[:, kept]).sum()
    torch.testing.assert_close(found, expected)
    weights = head.projection.weight
    gradients = [torch.autograd.grad(total, weights)[0] for total in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("head", [DENSITY, CELLS], ids=["density", "cells"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_bfloat16_trains_with_distributions_in_float32(head, precision, monkeypatch):
    forward, dtypes = FourierHead.forward, set()

    def watched(self: FourierHead, hidden: torch.Tensor) -> Distribution:
        distribution = forward(self, hidden)
        score = distribution.log_prob(torch.zeros(distribution.batch_shape))
        dtypes.add((self.projection(hidden).dtype, score.dtype))
        return distribution

    monkeypatch.setattr(FourierHead, "forward", watched)
    run = (head, REGULARIZED, torch.float32)
    found = train(1, "auto", *run, precision=precision)
    assert dtypes == {(torch.bfloat16, torch.float32)}
    monkeypatch.undo()
    exact = train(1, "auto", *run)
    apart = 0.05 if precision == "bf16-mixed" else 1.0  # else the first weights are others, too
    for row, expected in zip(found["rows"], exact["rows"], strict=True):
        assert row["train/nll"] == pytest.approx(expected["train/nll"], abs=apart)
        assert 0 < row["train/roughness"] < math.inf
        assert 0 < row["train/penalty"] < math.inf
