"""Weight decay acts on matrices only, and the state of an optimizer goes by names."""

from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything

from framework.optimization import by_name, by_number, groups, matrices, numbering
from framework.schedules import Constant
from tests.framework.modules import fakes


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
    with pytest.raises(ValueError, match=r"got trainer.max_steps=-1; set it"):
        fakes.trainer(max_steps=-1).fit(fakes.module(), fakes.data())
