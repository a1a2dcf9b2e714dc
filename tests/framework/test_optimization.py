"""Weight decay acts on matrices only, and the state of an optimizer goes by names."""

from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything

from framework.checkpoints import read
from framework.optimization import by_name, by_number, fuse, groups, matrices, numbering
from framework.schedules import Constant, WarmupCosine
from framework.strategies import FullyShardedStrategy
from tests.framework.modules import fakes
from tests.ranks import run_ranks


def test_decay_shrinks_matrices_only():
    # without gradients (no weight), AdamW does nothing but decay, by lr * weight_decay a step
    seed_everything(1, verbose=False)
    decay = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5)
    model = fakes.module(optimizer=decay, schedule=Constant)
    model.configure_model()
    before = fakes.whole(model)
    batch = fakes.examples(8)._replace(weight=torch.zeros(8, 1))
    fakes.trainer(max_steps=1).fit(model, fakes.FakeData(batch, 8, batch))
    for name, value in fakes.whole(model).items():
        factor = 0.95 if value.ndim == 2 else 1.0
        torch.testing.assert_close(value, factor * before[name], msg=lambda m, n=name: f"{n}: {m}")


def test_frozen_parameters_are_left_out():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(False)
    decay, rest = groups(model, matrices(model))
    assert [p.shape for p in decay["params"]] == [(2, 3)]
    assert [p.shape for p in rest["params"]] == [(2,)]
    assert rest["weight_decay"] == 0.0
    model[1].bias.requires_grad_(False)
    assert len(groups(model, matrices(model))) == 1


def test_adam_is_fused_unless_it_says_otherwise():
    """And updates as the loop over parameters does, up to rounding."""
    torch.manual_seed(0)
    models = [torch.nn.Linear(3, 2) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    fused, looped = (torch.optim.AdamW(each.parameters(), 0.1) for each in models)
    fuse(fused)
    assert fused.param_groups[0]["fused"]
    for _ in range(3):
        batch = torch.randn(4, 3)
        for model, optimizer in zip(models, (fused, looped), strict=True):
            optimizer.zero_grad()
            model(batch).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(models[0].weight, models[1].weight)
    weights = [torch.nn.Parameter(torch.ones(2))]
    for chosen in (
        torch.optim.AdamW(weights, fused=False),
        torch.optim.AdamW(weights, foreach=False),
        torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, device="meta"))]),
    ):
        fuse(chosen)
        assert not chosen.param_groups[0]["fused"]
    fuse(torch.optim.SGD(weights))


def test_states_by_name_belong_to_these_parameters():
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 4)
    )
    optimizer = torch.optim.Adam(groups(model, matrices(model)))
    model(torch.randn(5, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    names = numbering(model, matrices(model))
    named = by_name(state, names)
    for name, parameter in model.named_parameters():
        assert named["state"][name]["exp_avg"] is optimizer.state[parameter]["exp_avg"]
    assert named["param_groups"][0]["params"] == ["0.weight", "2.weight"]
    assert by_name(named, names) == named
    assert by_number(named, names) == state
    assert by_number(state, names) == state


def test_a_run_without_end_is_one_sentence():
    with pytest.raises(ValueError, match=r"has no end; set trainer.max_steps, or"):
        fakes.trainer(max_steps=-1).fit(fakes.module(), fakes.data())


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The checkpoint of four steps at a rate of 0.002."""
    path = tmp_path_factory.mktemp("begun") / "begun.ckpt"
    adam = partial(torch.optim.AdamW, lr=0.002, weight_decay=0.1)
    runner = fakes.trainer(max_steps=4)
    runner.fit(fakes.module(optimizer=adam, schedule=partial(Constant, warmup=3)), fakes.data())
    runner.save_checkpoint(path)
    return path


def test_a_run_goes_on_with_its_own_options_and_the_moments_of_the_checkpoint(begun):
    """Without gradients, AdamW moves by its moments and decay alone, in closed form."""
    rate, decay, eps = 1e-3, 0.5, 1e-8
    adam = partial(torch.optim.AdamW, lr=rate, weight_decay=decay, betas=(0.5, 0.6), eps=eps)
    model = fakes.module(optimizer=adam, schedule=Constant)
    batch = fakes.examples(8)._replace(weight=torch.zeros(8, 1))
    fakes.trainer(max_steps=5).fit(model, fakes.FakeData(batch, 8, batch), ckpt_path=begun)
    saved = read(begun)
    [moments] = saved["optimizer_states"]
    for name, value in fakes.whole(model).items():
        before, state = saved["state_dict"][name], moments["state"][name]
        first = 0.5 * state["exp_avg"] / (1 - 0.5**5)
        second = 0.6 * state["exp_avg_sq"] / (1 - 0.6**5)
        kept = 1 - rate * decay if value.ndim == 2 else 1.0
        expected = kept * before - rate * first / (second.sqrt() + eps)
        torch.testing.assert_close(value, expected, msg=lambda m, n=name: f"{n}: {m}")


class Halving(torch.optim.lr_scheduler.ExponentialLR):
    """A schedule of torch, which has no closed form."""

    def __init__(self, optimizer, steps):
        super().__init__(optimizer, gamma=0.5)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant, [1, 1, 1]),
        (partial(Constant, warmup=8, start=0.0), [4 / 8, 5 / 8, 6 / 8]),
        (partial(WarmupCosine, warmup=0, floor=0.0), [0.388740, 0.188255, 0.049516]),
    ],
)
def test_the_schedule_of_the_recipe_rules_from_the_first_step_on(begun, schedule, factors):
    """The factors of half a cosine over 7 steps are (1 + cos(pi k / 7)) / 2."""
    adam = partial(torch.optim.AdamW, lr=0.5)
    found = fakes.fit({"max_steps": 7}, {"optimizer": adam, "schedule": schedule}, begun)
    assert [row["lr"] for row in found["rows"]] == pytest.approx([0.5 * f for f in factors], 1e-5)


def test_any_other_schedule_keeps_its_factor(tmp_path):
    options = {"schedule": Halving}
    runner = fakes.trainer(max_steps=2)
    runner.fit(fakes.module(**options), fakes.data())
    runner.save_checkpoint(tmp_path / "two.ckpt")
    adam = partial(torch.optim.AdamW, lr=0.4)
    found = fakes.fit({}, {**options, "optimizer": adam}, tmp_path / "two.ckpt")
    assert [row["lr"] for row in found["rows"]] == pytest.approx([0.1, 0.05])


def begin_sharded(path):
    adam = partial(torch.optim.AdamW, lr=0.002, weight_decay=0.1)
    runner = fakes.trainer(devices=2, strategy=FullyShardedStrategy(False, "gloo"))
    runner.fit(fakes.module(optimizer=adam, schedule=Constant), fakes.data())
    runner.save_checkpoint(path)


def go_on_sharded(path):
    adam = partial(torch.optim.AdamW, lr=1e-5, weight_decay=0.5)
    runner = fakes.trainer(max_steps=6, devices=2, strategy=FullyShardedStrategy(False, "gloo"))
    runner.fit(fakes.module(optimizer=adam, schedule=Constant), fakes.data(), ckpt_path=path)
    [optimizer] = runner.optimizers
    taken = {float(state["step"]) for state in optimizer.state.values()}
    return [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups], taken


@pytest.mark.slow
def test_shards_go_on_with_their_own_options(tmp_path):
    run_ranks(begin_sharded, 2, tmp_path / "begun.ckpt")
    for options, taken in run_ranks(go_on_sharded, 2, tmp_path / "begun.ckpt"):
        assert options == [(1e-5, 0.5), (1e-5, 0.0)]
        assert taken == {6.0}
