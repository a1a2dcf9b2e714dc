"""A pruned head trains, is sharded, kept and loaded as any other; the dimensions it reads stay."""

from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything

from components.data import TokenBatch, TokenSpec
from components.initializations import Mitchell
from components.stems import TokenStem
from components.supports import Tokens
from framework.evaluation.generation import Sampling
from framework.execution import Execution
from framework.modules.language import LanguageModel
from framework.papers.token_encoding.pruning.head import PrunedHead
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import trainer, whole
from tests.framework.modules.parts import DECODER, FixedData, options
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(11), 6)


def model(**changes):
    parts = options(SPEC, TokenStem, partial(PrunedHead, kept=5), DECODER)
    return LanguageModel(**parts | {"sampling": Sampling(length=2)} | changes)


def batch():
    tokens = torch.arange(42).reshape(6, 7) % 11
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(6, 6))


def train(folder, strategy="auto", world=1, execution=None):
    """Trains three steps and keeps a checkpoint; returns the weights."""
    seed_everything(1, verbose=False)
    made = FullyShardedStrategy() if strategy == "fsdp2" else strategy
    runner = trainer(strategy=made, devices=world, max_steps=3, max_epochs=3)
    module = model(execution=execution or Execution())
    runner.fit(module, FixedData(batch(), size=6 // world))
    runner.save_checkpoint(Path(folder) / "pruned.ckpt")
    return whole(module)


@pytest.mark.parametrize(
    ("strategy", "world", "execution"),
    [
        ("ddp", 2, Execution()),
        ("fsdp2", 2, Execution()),
        ("fsdp2", 2, Execution(meta=True)),
    ],
    ids=str,
)
@pytest.mark.slow
def test_strategies_give_the_same_weights(strategy, world, execution, tmp_path):
    alone = train(tmp_path)
    assert torch.equal(alone["head.projection.0.index"], torch.arange(5))
    for rank in run_ranks(lambda: train(tmp_path, strategy, world, execution), world):
        assert rank.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(rank[name], value, rtol=0, atol=1e-6, msg=name)
    loaded = LanguageModel.load_from_checkpoint(tmp_path / "pruned.ckpt", weights_only=True)
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-6, msg=name)


def test_computes_in_half_precision():
    module = model()
    module.configure_model()
    half = module.to(torch.bfloat16)
    assert half.head.projection[0].index.dtype == torch.int64
    assert half(batch()).log_prob(batch().target).isfinite().all()


def test_a_tied_one_is_refused():
    module = model(tied=True)
    with pytest.raises(ValueError, match=r"PrunedHead .*drop tied\.$"):
        module.configure_model()


def test_the_initialization_of_a_whole_model_leaves_the_choice_alone():
    module = model(initialization=Mitchell())
    module.configure_model()
    assert torch.equal(module.head.projection[0].index, torch.arange(5))
