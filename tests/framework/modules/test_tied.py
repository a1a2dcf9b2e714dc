"""A read-out tied to the embedding is one matrix, however the model is run, kept and loaded."""

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import nn

from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads import FanHead, FourierHead, LinearHead
from components.initializations import Mitchell
from components.layers.fan import FanLayer
from components.layers.feedforward import SwiGLU
from components.stems import TokenStem, TrajectoryStem
from components.supports import Tokens
from framework.evaluation.generation import Sampling
from framework.execution import Execution
from framework.modules.language import LanguageModel
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import trainer, whole
from tests.framework.modules.parts import FixedData, options
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(11), 6)
FANFORMER = partial(
    Decoder,
    dim=16,
    depth=2,
    heads=2,
    projection=partial(FanLayer, activation=nn.Identity),
    feedforward=SwiGLU,
)


def model(**changes):
    parts = options(SPEC, TokenStem, partial(LinearHead, bias=False), FANFORMER)
    parts |= {"initialization": Mitchell(), "decay_embeddings": False, "tied": True}
    return LanguageModel(**parts | {"sampling": Sampling(length=2)} | changes)


def batch():
    tokens = torch.arange(42).reshape(6, 7) % 11
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(6, 6))


def train(strategy="auto", world=1, folder=None, **changes):
    """Trains three steps, and may keep a checkpoint; returns the weights."""
    seed_everything(1, verbose=False)
    made = FullyShardedStrategy() if strategy == "fsdp2" else strategy
    runner = trainer(strategy=made, devices=world, max_steps=3, max_epochs=3)
    module = model(**changes)
    runner.fit(module, FixedData(batch(), size=6 // world))
    if folder is not None:
        runner.save_checkpoint(Path(folder) / "tied.ckpt")
    return whole(module)


def test_is_one_matrix_that_trains_from_both_ends():
    module = model()
    module.configure_model()
    assert not list(module.head.parameters())
    assert not any(name.startswith("head") for name in module.state_dict())
    module(batch()).log_prob(batch().target).sum().backward()
    apart = model(tied=False)
    apart.configure_model()
    vectors = module.stem.embedding.weight
    readout = {"head.projection.weight": vectors}
    apart.load_state_dict(module.state_dict() | readout)
    apart(batch()).log_prob(batch().target).sum().backward()
    expected = apart.stem.embedding.weight.grad + apart.head.projection.weight.grad
    torch.testing.assert_close(vectors.grad, expected)


def test_a_copy_shares_its_own_embedding():
    module = model()
    module.configure_model()
    copied = copy.deepcopy(module)
    with torch.no_grad():
        copied.stem.embedding.weight.zero_()
    assert torch.equal(copied(batch()).logits, torch.zeros(6, 6, 11))
    assert module(batch()).logits.abs().max() > 0


@pytest.mark.parametrize(
    ("strategy", "world", "execution"),
    [
        ("ddp", 2, Execution()),
        ("fsdp2", 1, Execution()),
        ("fsdp2", 2, Execution()),
        ("fsdp2", 2, Execution(meta=True)),
        ("fsdp2", 2, Execution(checkpoint=True)),
    ],
    ids=str,
)
@pytest.mark.slow
def test_strategies_give_the_same_weights(strategy, world, execution, tmp_path):
    alone = train()
    for rank in run_ranks(lambda: train(strategy, world, tmp_path, execution=execution), world):
        assert rank.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(rank[name], value, rtol=0, atol=1e-6, msg=name)
    loaded = LanguageModel.load_from_checkpoint(tmp_path / "tied.ckpt", weights_only=True)
    assert loaded.head.projection._tables[0] is loaded.stem.embedding
    torch.testing.assert_close(loaded.stem.embedding.weight, alone["stem.embedding.weight"])
    assert loaded._initialization is None  # the checkpoint holds what it made


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["auto", "fsdp2"])
def test_a_run_goes_on_with_it(strategy, tmp_path):
    def run(steps, ckpt_path=None):  # an epoch is one batch
        seed_everything(1, verbose=False)
        made = FullyShardedStrategy() if strategy == "fsdp2" else "auto"
        runner, module = trainer(strategy=made, max_steps=steps, max_epochs=4), model()
        runner.fit(module, FixedData(batch(), size=6), ckpt_path=ckpt_path, weights_only=True)
        runner.save_checkpoint(tmp_path / f"{steps}.ckpt")
        return whole(module)

    [straight] = run_ranks(run, 1, 4)
    run_ranks(run, 1, 2)
    [resumed] = run_ranks(run, 1, 4, tmp_path / "2.ckpt")
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)


def test_embeddings_norms_and_constants_are_left_out_of_decay():
    module = model()
    module.configure_model()
    decayed = {name.rpartition("blocks.")[2] for name in module._matrices}
    assert decayed == {
        f"{layer}.{name}.weight"
        for layer in range(2)
        for name in (
            "attention.projection",
            "attention.query",
            "attention.key_value",
            "attention.out",
            "feedforward.up_gate",
            "feedforward.down",
        )
    }


@pytest.mark.slow
def test_texts_continue_with_a_cache_on_sharded_ranks():
    def texts(world):
        seed_everything(1, verbose=False)
        made = FullyShardedStrategy() if world == 2 else "auto"
        runner = trainer(strategy=made, devices=world)
        module = model(sampling=Sampling(length=3, temperature=0.0))
        parts = runner.predict(module, FixedData(batch(), size=3))
        return [row["text"] for part in parts for row in part]

    both = run_ranks(texts, 2, 2)
    assert sorted(both[0] + both[1]) == sorted(texts(1))


def test_a_fan_head_is_tied_by_its_last_matrix():
    module = model(head=FanHead)
    module.configure_model()
    assert module.head.projection[-1]._tables[0] is module.stem.embedding
    names = ["projection.0.weight", "projection.0.bias", "projection.1.bias"]
    assert [*module.head.state_dict()] == names


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"head": partial(FanHead, hidden=24)},
            r"FanHead reads 11 logits from a width of 24",
        ),
        ({"head": FourierHead}, r"FourierHead has no matrix with a row for each token .* Lin"),
    ],
)
def test_what_cannot_be_tied_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        model(**changes).configure_model()


def test_a_stem_without_vectors_says_so():
    stem = TrajectoryStem.__new__(TrajectoryStem)
    with pytest.raises(ValueError, match=r"TrajectoryStem has no embedding .* drop tied"):
        stem.lookup()
