"""A pretrained model with another read-out trains, is kept and is sharded like any other."""

import re
import shutil
from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything

import cli
from components.heads import FourierHead
from components.stems import TokenStem
from framework.checkpoints import read
from framework.execution import Execution
from framework.pretrained import (
    Frozen,
    Full,
    LowRank,
    PretrainedDecoder,
    PretrainedEmbedding,
    PretrainedTokenizer,
)
from framework.strategies import FullyShardedStrategy
from framework.tasks.random_numbers import DescribedNormals, PromptData, PromptModel
from tests.framework.modules import fakes
from tests.framework.modules.parts import options, trainer
from tests.ranks import run_ranks

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

LORA = partial(LowRank, rank=2, dropout=0.0)


def data(path):
    source = DescribedNormals(train=8, shown=1)
    return PromptData(source, PretrainedTokenizer(path), batch_size=4)


def model(path, tuning=LORA, execution=None, dtype=None):
    parts = options(
        data(path).spec,
        partial(TokenStem, embedding=partial(PretrainedEmbedding, path=path)),
        partial(FourierHead, frequencies=4, bins=200),
        partial(PretrainedDecoder, path=path, tuning=tuning, dtype=dtype),
    )
    return PromptModel(**parts, execution=execution or Execution())


def fit(path, tuning=LORA, execution=None, **settings):
    seed_everything(1, verbose=False)
    module = model(path, tuning, execution)
    runner = trainer(**{"max_steps": 2, **settings})
    runner.fit(module, data(path))
    return module, runner


def changed(module, path):
    """Names of the parameters that training has changed; collective."""
    seed_everything(1, verbose=False)
    fresh = model(path)
    fresh._backbone = module._backbone
    fresh.configure_model()
    before = dict(fresh.named_parameters())
    return {
        name for name, p in module.named_parameters() if not torch.equal(p.detach(), before[name])
    }


@pytest.mark.parametrize("tuning", [Full, Frozen, LORA], ids=["full", "frozen", "lora"])
@pytest.mark.slow
def test_what_is_trained_changes_and_is_all_that_is_kept(tuning, tiny, tmp_path):
    module, runner = fit(tiny, tuning)
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert changed(module, tiny) == trained
    assert any(name.startswith("backbone") for name in trained) == (tuning is not Frozen)
    runner.save_checkpoint(tmp_path / "first.ckpt")
    kept = read(tmp_path / "first.ckpt")
    assert set(kept["state_dict"]) == trained
    assert set(kept["optimizer_states"][0]["state"]) == trained
    loaded = PromptModel.load_from_checkpoint(tmp_path / "first.ckpt", weights_only=True)
    batch = data(tiny).dataset("train").__getitems__([0, 1, 2])
    with torch.no_grad():
        expected = module.eval()(batch).log_prob(batch.target)
        assert torch.equal(loaded.eval()(batch).log_prob(batch.target), expected)
    again = trainer(max_steps=3)
    again.fit(loaded.train(), data(tiny), ckpt_path=tmp_path / "first.ckpt")
    again.save_checkpoint(tmp_path / "second.ckpt")
    third = PromptModel.load_from_checkpoint(tmp_path / "second.ckpt", weights_only=True)
    assert dict(third.hparams) == dict(loaded.hparams)


@pytest.mark.slow
def test_an_interrupted_run_ends_like_an_uninterrupted_one(tiny, tmp_path):
    whole, _ = fit(tiny, max_steps=4)
    _, first = fit(tiny, max_steps=2)
    first.save_checkpoint(tmp_path / "half.ckpt")
    seed_everything(5, verbose=False)
    rest = model(tiny)
    trainer(max_steps=4).fit(rest, data(tiny), ckpt_path=tmp_path / "half.ckpt")
    torch.testing.assert_close(rest.state_dict(), whole.state_dict(), rtol=0, atol=1e-7)


def test_building_again_depends_on_seed_and_directory_alone(tiny):
    torch.manual_seed(3)
    first, second = model(tiny), model(tiny)
    first.configure_model()
    torch.rand(7)
    second.configure_model()
    expected = dict(first.named_parameters())
    second.configure_model()
    assert all(torch.equal(p, expected[name]) for name, p in second.named_parameters())


def test_a_directory_that_is_gone_is_named(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    _, runner = fit(str(copy))
    runner.save_checkpoint(tmp_path / "first.ckpt")
    shutil.rmtree(copy)
    with pytest.raises(
        ValueError, match=f"PretrainedDecoder: there is no directory path='{copy}'"
    ):
        PromptModel.load_from_checkpoint(tmp_path / "first.ckpt", weights_only=True)


@pytest.mark.parametrize(
    ("strategy", "execution"),
    [
        ("ddp", Execution()),
        (FullyShardedStrategy, Execution()),
        (FullyShardedStrategy, Execution(meta=True, checkpoint=True)),
    ],
    ids=["ddp", "fsdp2", "fsdp2 from meta"],
)
@pytest.mark.slow
def test_two_ranks_train_what_one_does(strategy, execution, tiny, tmp_path):
    alone, _ = fit(tiny)
    path = tmp_path / "shared.ckpt"

    def rank():
        made = strategy() if callable(strategy) else strategy
        module, shared = fit(tiny, execution=execution, strategy=made, devices=2)
        shared.save_checkpoint(path)
        return fakes.whole(module)

    for found in run_ranks(rank, 2):
        torch.testing.assert_close(found, fakes.whole(alone), rtol=0, atol=1e-5)
    loaded = PromptModel.load_from_checkpoint(path, weights_only=True)
    torch.testing.assert_close(loaded.state_dict(), alone.state_dict(), rtol=0, atol=1e-5)

    def resume():
        made = strategy() if callable(strategy) else strategy
        module = model(tiny, execution=execution)
        again = trainer(max_steps=3, strategy=made, devices=2)
        again.fit(module, data(tiny), ckpt_path=path)
        return again.global_step

    assert run_ranks(resume, 2) == [3, 3]


@pytest.mark.parametrize(
    ("recipe", "precision", "more"),
    [
        ("random_numbers", "bf16_true", []),
        ("written_numbers", "bf16", ["--config", "models/pretrained_readout"]),
    ],
)
@pytest.mark.slow
def test_recipes_take_a_pretrained_model(recipe, precision, more, tiny, tmp_path, capsys):
    words = ["fit", "--config", recipe, "--config", "models/pretrained", *more]
    words += ["--config", f"precision/{precision}", "--config", "smoke"]
    words += ["--model.samples", "3", f"--model.backbone.path={tiny}"]
    cli.main([*words, f"--trainer.default_root_dir={tmp_path}"])
    assert re.search(r"^nll +-?\d\S* +-?\d", capsys.readouterr().out, re.MULTILINE)
