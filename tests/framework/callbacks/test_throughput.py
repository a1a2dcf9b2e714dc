"""Logged speed and norms against a slow loader, a loop over gradients and a run without them."""

import time

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers.logger import DummyLogger

from framework.callbacks import Throughput
from framework.costs import step_costs
from tests.framework.modules import fakes
from tests.ranks import run_ranks
from tests.waiting import Waits

PEAK = 0.001  # TFLOP/s
STRATEGIES = [fakes.fsdp2, pytest.param("ddp", marks=pytest.mark.slow)]


class Kept(DummyLogger):
    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows += [{**metrics, "step": step}] if "gradient_norm" in metrics else []


class Norms(Callback):
    """The norm by a loop, where gradients are those of means and not yet clipped."""

    def __init__(self):
        self.norms = []

    def on_gradients(self, trainer, pl_module, loss, norm):
        squares = [whole_gradient(p).square().sum() for p in pl_module.parameters()]
        self.norms.append(float(torch.stack(squares).sum().sqrt()))


def whole_gradient(parameter):
    grad = parameter.grad
    return grad.full_tensor() if hasattr(grad, "full_tensor") else grad


class Slow(fakes.Examples):
    def __getitems__(self, indices):
        time.sleep(0.05)
        return super().__getitems__(indices)


def fit(*callbacks, world=1, strategy="auto", **options):
    seed_everything(1, verbose=False)
    logger, model = Kept(), fakes.module()
    runner = fakes.trainer(
        callbacks=list(callbacks),
        logger=logger,
        devices=world,
        strategy=strategy() if callable(strategy) else strategy,
        gradient_clip_val=0.01,
        **options,
    )
    runner.fit(model, fakes.data())
    return logger.rows, fakes.whole(model)


def test_scalars_and_the_same_weights():
    norms = Norms()
    rows, weights = fit(Throughput(PEAK), norms)
    assert [row["step"] for row in rows] == [2, 3, 4]
    assert [row["gradient_norm"] for row in rows] == pytest.approx(norms.norms[1:], rel=1e-5)
    flops = step_costs(fakes.module(), fakes.examples(8)).flops_per_position
    for row in rows:
        used = row["speed/positions_per_s"] * flops / (PEAK * 1e12)
        assert row["speed/mfu"] == pytest.approx(used)
        assert 0 < row["speed/data_wait"] < 1
    without, alone = fit()
    assert without == []
    torch.testing.assert_close(weights, alone, rtol=0, atol=0)  # clipped by the same norm


def test_the_norm_is_read_when_it_is_logged():
    norms = []

    class Kept(Throughput):
        def on_gradients(self, trainer, pl_module, loss, norm):
            with Waits() as waits:
                super().on_gradients(trainer, pl_module, loss, norm)
            norms.append((norm, waits.read))

    rows, _ = fit(Kept(PEAK), log_every_n_steps=4)
    assert [reads for _, reads in norms] == [0, 0, 0, 0]
    assert [row["gradient_norm"] for row in rows] == [norms[-1][0].item()]


def test_slow_data_are_waited_for(monkeypatch):
    monkeypatch.setattr(fakes, "Examples", Slow)
    rows, _ = fit(Throughput(PEAK), accumulate_grad_batches=2, log_every_n_steps=4)
    (row,) = rows
    assert row["speed/data_wait"] > 0.5
    assert row["speed/positions_per_s"] < 8 / 0.05


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ranks_have_one_norm(strategy):
    expected, whole = fit(Throughput(PEAK))

    def rank():
        norms = Norms()
        return [*fit(Throughput(PEAK), norms, world=2, strategy=strategy), norms.norms[1:]]

    for rows, weights, norms in run_ranks(rank, 2):
        assert norms == pytest.approx([row["gradient_norm"] for row in expected], rel=1e-4)
        assert [r["gradient_norm"] for r in rows] == pytest.approx(norms[: len(rows)], rel=1e-5)
        torch.testing.assert_close(weights, whole, rtol=1e-4, atol=1e-6)


def test_peak_is_positive():
    with pytest.raises(ValueError, match="peak=0 is not positive"):
        Throughput(0)
