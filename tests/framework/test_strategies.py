"""A folder of shards has its name when it is complete, on all ranks, and damage is noticed."""

import json
import os
import resource
import warnings

import pytest
import torch
from lightning.pytorch import Callback
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads import LinearHead
from components.stems import TokenStem
from components.supports import Tokens
from framework import checksums
from framework.callbacks import Checkpoint
from framework.checkpoints import read
from framework.checksums import LIST, is_intact
from framework.execution import Execution, Sharding, parallelize
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import data, module, trainer
from tests.framework.modules.fakes import fit as fit_fake
from tests.ranks import run_ranks


def fit(folder, *callbacks, steps=3, ckpt_path=None, **options):
    checkpoint = Checkpoint(dirpath=str(folder), every_n_train_steps=1, **options)
    runner = trainer(
        callbacks=[*callbacks, checkpoint],
        max_steps=steps,
        enable_checkpointing=True,
        devices=2,
        strategy=FullyShardedStrategy(save_distributed_checkpoint=True),
    )
    runner.fit(module(), data(), ckpt_path=ckpt_path)
    return runner.global_step


class Fill(Callback):
    """Leaves no room for a file, to one of the ranks and after a step."""

    def __init__(self, step, rank):
        self.step, self.rank = step, rank

    def on_train_batch_end(self, trainer, *_):
        if (trainer.global_step, trainer.global_rank) == (self.step, self.rank):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def steps_in(folder):
    return {path.stem: read(path)["global_step"] for path in folder.iterdir()}


@pytest.mark.slow
def test_folders_are_complete_and_resumed(tmp_path, monkeypatch):
    assert run_ranks(fit, 2, tmp_path) == [3, 3]
    assert steps_in(tmp_path) == {"last": 3, "step=2": 2, "step=3": 3}
    for path in tmp_path.iterdir():
        files = {file.name for file in path.iterdir()} - {LIST}
        assert set(json.loads((path / LIST).read_text())) == files
        assert {".metadata", "meta.pt", "__0_0.distcp", "__1_0.distcp"} <= files
        assert is_intact(path)

    known_sum, checked = checksums._known_sum, []

    def resume():
        warnings.filterwarnings("ignore", "Checkpoint directory .* is not empty")
        monkeypatch.setattr(
            checksums,
            "_known_sum",
            lambda *given: checked.append(given[0].name) or known_sum(*given),
        )
        assert fit(tmp_path, steps=5, ckpt_path=tmp_path / "last.ckpt") == 5
        return checked

    divided = run_ranks(resume, 2)
    assert divided == [[".metadata", "__1_0.distcp"], ["__0_0.distcp", "meta.pt"]]
    assert steps_in(tmp_path) == {"last": 5, "step=4": 4, "step=5": 5}
    shard = tmp_path / "step=5.ckpt" / "__1_0.distcp"
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    shard.write_bytes(raw)

    def refuse():
        warnings.filterwarnings("ignore", "Checkpoint directory .* is not empty")
        with pytest.raises(ValueError, match=r"damaged.*use '.*step=4.ckpt', which is") as error:
            fit(tmp_path, steps=6, ckpt_path=tmp_path / "last.ckpt")
        return str(error.value)

    first, second = run_ranks(refuse, 2)
    assert first == second


class SaveDiverged(Callback):
    """Saves, when training has ended, parameters of which one rank's share is NaN."""

    def __init__(self, path):
        self.path = path

    def on_train_end(self, trainer, pl_module):
        if trainer.global_rank == 1:
            pl_module.head.projection.weight.detach().to_local().fill_(torch.nan)
        trainer.save_checkpoint(self.path)


@pytest.mark.slow
def test_shares_that_are_nan_are_refused_on_all_ranks(tmp_path):
    """Also by the rank whose own share is as it should be."""

    def refuse():
        fit(tmp_path / "run", SaveDiverged(tmp_path / "diverged.ckpt"))
        with pytest.raises(ValueError, match=r"some values of 'head.projection.weight' in .* NaN"):
            fit(tmp_path / "again", steps=5, ckpt_path=tmp_path / "diverged.ckpt")

    run_ranks(refuse, 2)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_full_disk_of_one_rank_is_one_sentence_on_all(tmp_path, rank):
    def full():
        with pytest.raises(ValueError, match=r"could not be written .*earlier checkpoints are as"):
            fit(tmp_path, Fill(3, rank), steps=5)

    run_ranks(full, 2)
    assert steps_in(tmp_path) == {"last": 2, "step=1": 1, "step=2": 2}


def test_shards_are_not_written_in_the_background(tmp_path):
    def refuse():
        with pytest.raises(ValueError, match=r"asynchronous=true writes one file"):
            fit(tmp_path, asynchronous=True)

    run_ranks(refuse, 2)


def test_processes_are_divided_or_it_is_one_sentence():
    def refuse(options, sentence, **settings):
        with pytest.raises(ValueError, match=sentence):
            trainer(strategy=FullyShardedStrategy(**options), devices=2, **settings).fit(
                module(), data()
            )

    with pytest.raises(ValueError, match=r"replicas=0 is too small"):
        FullyShardedStrategy(replicas=0)
    odd = r"2 processes cannot be divided among replicas=3, .* use a multiple of 3 processes"
    run_ranks(lambda: refuse({"replicas": 3}, odd), 2)
    plain = r"gathered=bfloat16, but the model computes in 32-true; add --config precision/bf16"
    run_ranks(lambda: refuse({"gathered": "bfloat16"}, plain), 2)


class Types(Callback):
    """Keeps the types in which parameters are gathered."""

    def on_fit_start(self, trainer, pl_module):
        self.seen = {}
        for name in ("stem.project", "backbone.blocks.0.linear", "head.projection"):
            part = pl_module.get_submodule(name)
            part.register_forward_pre_hook(lambda own, _, n=name: self.note(n, own))

    def note(self, name, part):
        self.seen[name] = str(part.weight.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("reduced", [None, "bfloat16"])
def test_half_as_much_is_gathered_and_the_result_is_that_of_one_process(reduced):
    def train(options):
        types = Types()
        strategy = FullyShardedStrategy(**options) if options is not None else "auto"
        found = fit_fake(
            {
                "strategy": strategy,
                "devices": int(os.environ["WORLD_SIZE"]),
                "precision": "bf16-mixed",
                "callbacks": [types],
            }
        )
        first = found["rows"][0]["train/loss"]
        return {**found["weights"], "types": types.seen, "first": first}

    (one,) = run_ranks(train, 1, None)
    for rank in run_ranks(train, 2, {"gathered": "bfloat16", "reduced": reduced}):
        assert rank.pop("types") == {
            "stem.project": "torch.float32",
            "backbone.blocks.0.linear": "torch.bfloat16",
            "head.projection": "torch.bfloat16",
        }
        # gains of norms are ones at first, and rounded later
        assert rank.pop("first") == pytest.approx(one["first"], rel=1e-6)
        for name, value in rank.items():
            torch.testing.assert_close(value, one[name], rtol=0, atol=1e-3, msg=name)


@pytest.mark.slow
def test_eight_processes_are_stepped_with_a_fake_process_group():
    """Two replicas of two shards, each of layers in two parts: shapes only, nothing is sent."""

    def step():
        torch.distributed.init_process_group("fake", rank=7, world_size=8, store=FakeStore())
        mesh = init_device_mesh("cpu", (2, 2, 2), mesh_dim_names=("replicas", "shards", "tensors"))
        sharding = Sharding(mesh["replicas", "shards"], None, mesh["tensors"])
        stem, backbone = TokenStem(16, TokenSpec(Tokens(11), 6)), Decoder(16, 1, 4)
        head = LinearHead(16, Tokens(11))
        parallelize(stem, backbone, head, Execution(checkpoint="selective"), sharding)
        tokens = torch.zeros(2, 6, dtype=torch.long)
        batch = TokenBatch(tokens, tokens, torch.ones(2, 6))
        optimizer = torch.optim.AdamW([*stem.parameters(), *backbone.parameters()])
        head(backbone(stem(batch))).log_prob(tokens).sum().backward()
        optimizer.step()
        named = {**dict(backbone.named_parameters()), **dict(stem.named_parameters())}
        return {name: list(p.to_local().shape) for name, p in named.items()}

    (shapes,) = run_ranks(step, 1)
    assert shapes["blocks.0.attention.query.weight"] == [4, 16]  # a half of a half of the rows
    assert shapes["blocks.0.attention.out.weight"] == [8, 8]  # half of the rows and columns
    assert shapes["embedding.weight"] == [5, 16]  # the second half of 11
