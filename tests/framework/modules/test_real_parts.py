"""Real stems, backbones and heads end with the same weights sharded over two ranks as whole."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from lightning.pytorch import seed_everything

from components.backbones import MLP, Decoder, EncoderDecoder
from components.data import (
    DensityBatch,
    DensitySpec,
    SeriesBatch,
    SeriesSpec,
    TokenBatch,
    TokenSpec,
    TrajectoryBatch,
    TrajectorySpec,
)
from components.heads import FanHead, FourierHead, MixtureHead, StudentTHead
from components.losses import NegativeLogLikelihood
from components.stems import FeatureStem, SeriesStem, TokenStem, TrajectoryStem
from components.supports import Interval, Tokens
from framework.execution import Execution
from framework.modules.base import PredictiveModule
from tests.framework.modules import fakes
from tests.ranks import run_ranks

SIZE = 16
NOISE = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(SIZE, *shape, generator=NOISE)


def some(*shape: int) -> torch.Tensor:
    return torch.rand(SIZE, *shape, generator=NOISE) > 0.3


def tokens() -> TokenBatch:
    text = torch.randint(0, 11, (SIZE, 9), generator=NOISE)
    return TokenBatch(text[:, :-1], text[:, 1:], some(8).float())


def trajectories() -> TrajectoryBatch:
    mask = torch.arange(5) >= torch.arange(SIZE)[:, None] % 4  # padded on the left
    action = normal(5, 2).clamp(-1, 1)
    time = torch.arange(5).expand(SIZE, 5) * mask
    return TrajectoryBatch(normal(5, 3), action, normal(5), time, mask, action, mask.float())


def series() -> SeriesBatch:
    one = torch.ones(SIZE, 1)
    return SeriesBatch(normal(12), some(12), normal(1), 2 * one, one, normal(4), some(4).float())


class Case(NamedTuple):
    batch: object
    spec: object
    stem: object
    backbone: object
    head: object


SMALL = {"dim": 16, "depth": 2}
CASES = [
    Case(
        tokens(), TokenSpec(Tokens(11), 8), TokenStem, partial(Decoder, heads=2, **SMALL), FanHead
    ),
    Case(
        trajectories(),
        TrajectorySpec(Interval(-1.0, 1.0, (2,)), (3,), 5, 20, "", (0.0,) * 3, (1.0,) * 3),
        TrajectoryStem,
        partial(Decoder, heads=2, **SMALL),
        partial(MixtureHead, components=3),
    ),
    Case(
        series(),
        SeriesSpec(Interval(-4.0, 4.0), 12, 4, 3),
        SeriesStem,
        partial(EncoderDecoder, heads=2, **SMALL),
        partial(FourierHead, frequencies=5),
    ),
    Case(
        DensityBatch(normal(3), normal(1), some(1).float()),
        DensitySpec(Interval(-3.0, 3.0), 3),
        FeatureStem,
        partial(MLP, **SMALL),
        StudentTHead,
    ),
]


def train(case: Case, world: int, strategy: object, execution: Execution) -> dict:
    seed_everything(1, verbose=False)
    parts = {**case._asdict(), "losses": {"nll": NegativeLogLikelihood}, "execution": execution}
    batch = parts.pop("batch")
    model = PredictiveModule(**fakes.options(**parts))
    made = strategy() if callable(strategy) else strategy
    runner = fakes.trainer(
        devices=world,
        strategy=made,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        limit_val_batches=1.0,
    )
    runner.fit(model, fakes.FakeData(batch, 4, batch))
    runner.validate(model, fakes.FakeData(batch, 4, batch), verbose=False)
    return {**fakes.whole(model), "nll": runner.callback_metrics["val/nll"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem.__name__)
@pytest.mark.slow
def test_sharded_is_whole(case):
    expected = train(case, 1, "auto", Execution())
    everything = Execution(checkpoint=True, meta=True)
    for found in run_ranks(train, 2, case, 2, fakes.fsdp2, everything):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
