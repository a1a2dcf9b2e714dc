"""Schedules agree with those that torch composes, and a resumed run may be longer."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from framework.schedules import Constant, WarmupCosine, WarmupLinear

PEAK, STEPS, WARMUP = 0.5, 20, 6


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)


def rates(schedule: torch.optim.lr_scheduler.LRScheduler, steps: int = STEPS) -> list[float]:
    found = []
    for _ in range(steps + 1):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return found


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")  # SequentialLR's own
@pytest.mark.parametrize(
    ("ours", "after"),
    [
        (
            lambda o: WarmupCosine(o, STEPS, WARMUP, floor=0.2, start=0.1),
            lambda o: CosineAnnealingLR(o, STEPS - WARMUP, eta_min=0.2 * PEAK),
        ),
        (
            lambda o: WarmupLinear(o, STEPS, WARMUP, floor=0.2, start=0.1),
            lambda o: LinearLR(o, 1.0, 0.2, STEPS - WARMUP),
        ),
        (
            lambda o: Constant(o, STEPS, WARMUP, start=0.1),
            lambda o: LinearLR(o, 1.0, 1.0, STEPS - WARMUP),
        ),
    ],
    ids=["cosine", "linear", "constant"],
)
def test_agrees_with_torch(ours, after):
    theirs = optimizer()
    parts = [LinearLR(theirs, 0.1, 1.0, WARMUP), after(theirs)]
    expected = rates(SequentialLR(theirs, parts, milestones=[WARMUP]))
    assert rates(ours(optimizer())) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", [WarmupCosine, WarmupLinear])
def test_ends_at_the_floor_and_stays(kind):
    found = rates(kind(optimizer(), STEPS, WARMUP, floor=0.25), 2 * STEPS)
    assert max(found) == found[WARMUP] == PEAK
    assert found[STEPS:] == pytest.approx([0.25 * PEAK] * (STEPS + 1))


@pytest.mark.parametrize("kind", [WarmupCosine, WarmupLinear, Constant])
def test_a_run_shorter_than_its_warmup_only_rises(kind):
    found = rates(kind(optimizer(), 2, 100, start=0.0), 2)
    assert found == pytest.approx([0.0, PEAK / 100, PEAK / 50])


def test_a_resumed_run_may_be_longer():
    first = WarmupCosine(optimizer(), STEPS, WARMUP, floor=0.0)
    rates(first, 9)
    state = first.state_dict()
    second = WarmupCosine(optimizer(), 2 * STEPS, WARMUP, floor=0.0)
    second.load_state_dict(state)
    second.optimizer.step()
    second.step()  # to step 11 of 40
    progress = (11 - WARMUP) / (2 * STEPS - WARMUP)
    assert second.get_last_lr() == pytest.approx([PEAK * (1 + math.cos(math.pi * progress)) / 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: WarmupCosine(o, 9, warmup=-1), r"WarmupCosine: warmup=-1 is negative; give"),
        (lambda o: WarmupLinear(o, 9, floor=1.5), r"WarmupLinear: floor=1.5 is a factor .* give"),
        (lambda o: Constant(o, 9, start=-0.5), r"Constant: start=-0.5 is a factor .* give"),
    ],
)
def test_senseless_options_are_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer())
