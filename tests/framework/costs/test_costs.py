"""Costs counted on shapes equal those of real steps, in bytes, and closed forms."""

from functools import partial

import pytest
import torch
from torch.optim import SGD, Adafactor, Adagrad, AdamW

from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads import LinearHead
from components.losses import NegativeLogLikelihood
from components.stems import TokenStem
from components.supports import Tokens
from framework.costs import states_of, step_costs
from framework.costs.peaks import measured
from framework.costs.shapes import twin
from framework.costs.states import size
from framework.execution import PLAIN, Execution
from framework.modules import LanguageModel
from framework.modules.base import PredictiveModule
from tests.framework.costs.measured import Held, nbytes
from tests.framework.modules import fakes
from tests.framework.modules.test_real_parts import CASES
from tests.ranks import run_ranks

MICRO = 4


def made(case, **changes):
    parts = {**case._asdict(), "losses": {"nll": NegativeLogLikelihood}, **changes}
    batch = parts.pop("batch")
    return PredictiveModule(**fakes.options(**parts)), batch


def first(batch):
    return type(batch)(*(field[:MICRO] for field in batch))


def held(case, world=1, strategy="auto", path=None, **changes):
    model, batch = made(case, **changes)
    held = Held()
    options = {"devices": world, "strategy": strategy() if callable(strategy) else strategy}
    runner = fakes.trainer(max_steps=1, callbacks=[held], **options)
    runner.fit(model, fakes.FakeData(batch, MICRO * world, batch))
    if path:
        runner.save_checkpoint(path)
    return {name: value for name, value in vars(held).items() if isinstance(value, int)}


@pytest.mark.parametrize(
    "case",
    [CASES[0], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[1:])],
    ids=lambda case: case.stem.__name__,
)
def test_bytes_are_those_of_a_real_step(case, tmp_path):
    model, batch = made(case)
    costs, states = step_costs(model, first(batch)), states_of(twin(model, PLAIN))
    found = held(case, path=tmp_path / "a.ckpt")
    assert costs.kept == found["activations"] > 0
    assert size(states.parameters) == found["parameters"]
    assert size(states.trained) == found["gradients"]
    assert size(states.optimizer) == found["optimizer"]
    recomputing = held(case, execution=Execution(checkpoint=True))
    assert costs.kept_recomputing == recomputing["activations"] < costs.kept
    assert costs.block < costs.kept
    saved = torch.load(tmp_path / "a.ckpt", weights_only=False)
    tensors = [v for s in saved["optimizer_states"][0]["state"].values() for v in s.values()]
    assert states.checkpoint == nbytes([*saved["state_dict"].values(), *tensors])
    assert 0 < (tmp_path / "a.ckpt").stat().st_size - states.checkpoint < 1024 * len(tensors)
    assert not any(True for _ in model.parameters())  # nothing was built


@pytest.mark.slow
def test_shards_are_those_of_fsdp2():
    states = states_of(twin(made(CASES[0])[0], PLAIN))
    for found in run_ranks(held, 3, CASES[0], 3, fakes.fsdp2)[:1]:  # the first holds most
        assert size(states.parameters, 3) == found["parameters"]
        assert size(states.trained, 3) == found["gradients"]
        assert size(states.optimizer, 3) == found["optimizer"]


@pytest.mark.parametrize(
    "optimizer",
    [
        partial(AdamW, lr=0.1, fused=True),
        partial(Adafactor, lr=0.1),
        pytest.param(partial(AdamW, lr=0.1, amsgrad=True, foreach=False), marks=pytest.mark.slow),
        pytest.param(partial(SGD, lr=0.1), marks=pytest.mark.slow),
        pytest.param(partial(SGD, lr=0.1, momentum=0.9), marks=pytest.mark.slow),
        pytest.param(partial(Adagrad, lr=0.1), marks=pytest.mark.slow),
    ],
)
def test_states_of_any_optimizer(optimizer):
    model = fakes.module(optimizer=optimizer)
    held = Held()
    fakes.trainer(max_steps=1, callbacks=[held]).fit(model, fakes.data())
    assert size(states_of(twin(model, PLAIN)).optimizer) == held.optimizer


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_operations_are_those_of_the_closed_form(tied):
    """2 · m · n · k for each matrix, and 4 · T · D a position for attention, times three."""
    vocabulary, length, dim, depth = 40, 24, 16, 3
    model = LanguageModel(
        spec=TokenSpec(Tokens(vocabulary), length, 1.0),
        stem=TokenStem,
        backbone=partial(Decoder, dim=dim, depth=depth, heads=2),
        head=partial(LinearHead, bias=False),
        losses={"nll": NegativeLogLikelihood},
        optimizer=partial(AdamW, lr=0.1),
        tied=tied,
    )
    ids = torch.zeros(5, length, dtype=torch.long)
    costs = step_costs(model, TokenBatch(ids, ids, torch.ones(5, length)))
    matrices = depth * 12 * dim**2 + vocabulary * dim
    assert costs.positions == 5 * length
    assert costs.flops_per_position == 3 * (2 * matrices + depth * 4 * length * dim)
    parameters = sum(p.numel() for p in twin(model, PLAIN).parameters())
    model.configure_model()
    assert parameters == sum(p.numel() for p in model.parameters())


def test_what_reads_values_is_one_sentence():
    class Reading(fakes.FakeError):
        def forward(self, prediction, target):
            return (prediction.mean - target)[target > 0]

    model = fakes.module(losses={"reading": Reading})
    with pytest.raises(ValueError, match=r"PredictiveModule reads values of tensors .*bench"):
        step_costs(model, fakes.examples(4))


def test_a_processor_has_a_peak():
    assert 0 < measured(torch.float32) < 1000
