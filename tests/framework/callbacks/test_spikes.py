"""A spike is skipped, by all ranks and behind a resumption too, or ends the run in a sentence."""

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from framework.callbacks import SpikeGuard
from tests.framework.modules import fakes
from tests.ranks import run_ranks

WINDOW, AT = 4, 6
STRATEGIES = [fakes.fsdp2, pytest.param("ddp", marks=pytest.mark.slow)]


class Spike(Callback):
    """Multiplies the gradients of some steps; remembers the weights behind each step."""

    def __init__(self, at=(AT,), factor=1e4, until=None):
        self.at, self.factor, self.until = at, factor, until
        self.weights, self.moments = [], []

    def on_after_backward(self, trainer, pl_module):
        if trainer.global_step in self.at:
            for parameter in pl_module.parameters():
                parameter.grad *= self.factor

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.weights.append(fakes.whole(pl_module))
        trainer.should_stop = trainer.global_step == self.until
        states = trainer.optimizers[0].state.values()
        self.moments.append([state["exp_avg"].clone() for state in states])


class Differing(SpikeGuard):
    """Sees a spike on the last rank only."""

    def on_gradients(self, trainer, pl_module, loss, norm):
        factor = 1e4 if (trainer.global_rank, trainer.global_step) == (1, AT) else 1
        super().on_gradients(trainer, pl_module, loss, norm * factor)


def guard(**options):
    return SpikeGuard(**{"window": WINDOW, "loss": None, **options})


def fit(*callbacks, steps=9, path=None, resume=None, world=1, strategy="auto"):
    seed_everything(1, verbose=False)
    model = fakes.module()
    made = strategy() if callable(strategy) else strategy
    runner = fakes.trainer(
        callbacks=list(callbacks), max_steps=steps, devices=world, strategy=made
    )
    runner.fit(model, fakes.data(), ckpt_path=resume)
    if path:
        runner.save_checkpoint(path)
    return fakes.whole(model)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_update_is_skipped_and_the_run_goes_on(capsys):
    spike = Spike()
    fit(spike, guard())
    assert same(spike.weights[AT], spike.weights[AT - 1])
    assert all(map(torch.equal, spike.moments[AT], spike.moments[AT - 1]))
    assert not same(spike.weights[AT + 1], spike.weights[AT])
    assert "skipped at step 6: the norm of the gradients is" in capsys.readouterr().err
    alone = Spike()
    fit(alone)
    assert not same(alone.weights[AT], alone.weights[AT - 1])
    calm = Spike(at=())
    fit(calm, guard())
    for found, expected in zip(calm.weights, spike.weights[:AT], strict=False):
        assert same(found, expected)


def test_resumed_run_decides_as_one_without_interruption(tmp_path):
    whole = fit(Spike(), guard())
    fit(Spike(until=AT - 1), guard(), path=tmp_path / "a.ckpt")
    assert same(fit(Spike(), guard(), resume=tmp_path / "a.ckpt"), whole)
    forgetful = guard()
    forgetful.load_state_dict = lambda state: None
    assert not same(fit(Spike(), forgetful, resume=tmp_path / "a.ckpt"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ranks_agree(strategy):
    def rank():
        spike = Spike(at=())
        fit(spike, Differing(window=WINDOW), world=2, strategy=strategy)
        return spike.weights[AT - 1 : AT + 2]

    for before, at, after in run_ranks(rank, 2):
        assert same(before, at)
        assert not same(at, after)


def test_stops_in_a_sentence():
    spike = Spike()
    with pytest.raises(ValueError, match=r"stops before the update of step 6: the norm .* median"):
        fit(spike, guard(action="stop"))
    assert len(spike.weights) == AT
    with pytest.raises(ValueError, match=r"of step 8: .*after 2 skipped before it; lower"):
        fit(Spike(at=range(AT, 20)), guard(most=2), steps=20)


def test_a_loss_stands_out_whatever_its_sign():
    sight = guard(loss=10.0, norm=None)
    for loss in (-4.0, -4.1, -3.9, -4.05):
        assert not sight._reason(loss, 1.0)
        sight._norms.append(1.0)
        sight._losses.append(loss)
    assert not sight._reason(-3.7, 100.0)
    assert sight._reason(-3.0, 1.0).startswith("the loss is -3, above the median -4.025")
    assert not sight._reason(-9.0, 1.0)
    assert sight._reason(-4.0, float("nan")) == "the norm of the gradients is nan"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"norm": 1.0}, "norm=1.0 is not above 1"),
        ({"window": 0}, "window=0 is too small"),
        ({"norm": None, "loss": None}, "norm and loss are null"),
    ],
)
def test_mistakes(options, said):
    with pytest.raises(ValueError, match=said):
        SpikeGuard(**options)
