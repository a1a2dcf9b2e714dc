"""Folders of shards are read as data: what torch would run in their pickles is refused."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import save
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load

import framework.strategies
from framework import checksums
from framework.checkpoint_io import DurableCheckpointIO
from framework.checkpoints import (
    SHARDED,
    is_complete,
    is_usable,
    load_parameters,
    parameters,
    read,
)
from framework.checksums import LIST, seal_folder
from framework.console.errors import UserError
from framework.exchange import Weights
from framework.exchange.verbs.consolidate import run as consolidate
from framework.shards import ShardReader, load_shards
from framework.strategies import FullyShardedStrategy
from tests.framework.modules import fakes
from tests.framework.modules.test_parallel import SaveThird
from tests.ranks import run_ranks

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


class Malicious:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.marker,)


STATE = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "bias": torch.tensor([1.0, -1.0], dtype=torch.bfloat16),
    "count": torch.tensor(3),
}


def written(folder: Path, rate: object = 0.125) -> Path:
    """Writes a folder as Lightning does."""
    save({"state_dict": STATE, "optimizer": {"rate": rate}}, checkpoint_id=folder, no_dist=True)
    torch.save({"pytorch-lightning_version": "2.6"}, folder / SHARDED)
    return folder


def test_what_was_written_is_read(tmp_path):
    folder = written(tmp_path / "folder")
    found = load_parameters(folder)
    assert found.keys() == STATE.keys() == parameters(folder).keys()
    for name, value in STATE.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    own, torchs = (reader(folder).read_metadata() for reader in (ShardReader, FileSystemReader))
    own.storage_meta.load_id = torchs.storage_meta.load_id  # random
    assert own == torchs
    optimizer = {"optimizer": {"rate": 0.0}}
    load_shards(optimizer, folder, no_dist=True)
    assert optimizer == {"optimizer": {"rate": 0.125}}


def test_a_search_reads_the_small_files_of_a_folder(tmp_path, monkeypatch):
    """Each process of a run searches: it sees that bytes are missing, not that some differ."""
    folder = written(tmp_path / "folder")
    seal_folder(folder, checksums.checksums(folder.iterdir()))
    names, sum_of = [], checksums._sum_of
    monkeypatch.setattr(
        checksums, "_sum_of", lambda file, size: names.append(file.name) or sum_of(file, size)
    )
    assert is_complete(folder)
    assert sorted(names) == [".metadata", SHARDED]
    [shard] = folder.glob("*.distcp")
    raw = shard.read_bytes()
    shard.write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
    assert is_complete(folder)
    assert not is_usable(folder)
    shard.write_bytes(raw[:-1])
    assert not is_complete(folder)
    shard.unlink()
    assert not is_complete(folder)


def test_a_malicious_list_is_not_run(tmp_path):
    folder, marker = written(tmp_path / "folder"), tmp_path / "marker"
    (folder / ".metadata").write_bytes(pickle.dumps(Malicious(marker)))
    part = nn.Linear(3, 2)
    for reads in (
        parameters,
        load_parameters,
        lambda path: Weights(str(path)).apply(part, part, part),
    ):
        with pytest.raises(ValueError, match=r"it holds (posix|nt)\.mkdir") as error:
            reads(folder)
        assert "nothing in it was run" in str(error.value)
    assert not marker.exists()
    with pytest.raises(AttributeError):
        FileSystemReader(folder).read_metadata()  # torch itself runs it
    assert marker.exists()


def test_a_malicious_value_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    folder = written(tmp_path / "folder", Malicious(marker))
    with pytest.raises(ValueError, match=r"'optimizer.rate' .* more than plain data"):
        load_shards({"optimizer": {"rate": 0.0}}, folder, no_dist=True)
    assert not marker.exists()
    load({"optimizer": {"rate": 0.0}}, checkpoint_id=folder, no_dist=True)  # torch itself does
    assert marker.exists()


@pytest.mark.parametrize("size", [0, 10, 500])
def test_a_torn_list_is_damaged(tmp_path, size):
    folder = written(tmp_path / "folder")
    whole = (folder / ".metadata").read_bytes()
    (folder / ".metadata").write_bytes(whole[:size])
    with pytest.raises(ValueError, match=r"\.metadata' of a checkpoint (is damaged|cannot be)"):
        parameters(folder)
    (folder / ".metadata").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="is not the list of a checkpoint"):
        parameters(folder)
    (folder / ".metadata").unlink()
    with pytest.raises(ValueError, match="There is no list"):
        parameters(folder)


def _resumed(path: Path) -> int:
    """Resumes from a folder of shards; returns how often it was read as data."""
    calls = []

    def counted(*args):
        calls.append(args)
        load_shards(*args)

    framework.strategies.load_shards = counted  # in this process, which ends with the function
    fakes.fit({"devices": 1, "strategy": _sharded()}, ckpt_path=path)
    return len(calls)


def _sharded() -> FullyShardedStrategy:
    return FullyShardedStrategy(save_distributed_checkpoint=True)


def _train(path: Path) -> None:
    saving = {"callbacks": [SaveThird(path)], "accumulate_grad_batches": 2, "max_steps": 3}
    fakes.fit({"devices": 1, "strategy": _sharded(), **saving})


class SaveBoth(SaveThird):
    """Saves a folder of shards, and a file of the same state."""

    def on_train_batch_end(self, trainer, *args) -> None:
        for name, as_folder in {"folder": True, "file.ckpt": False}.items():
            trainer.strategy._save_distributed_checkpoint = as_folder
            SaveThird(self.path / name).on_train_batch_end(trainer, *args)


@pytest.mark.slow
def test_one_process_goes_on_with_the_shards_of_two(tmp_path):
    settings = {"accumulate_grad_batches": 2, "max_steps": 5}
    saving = {"callbacks": [SaveBoth(tmp_path)], **settings}
    through = fakes.on_ranks(2, FullyShardedStrategy, settings=saving)[0]["weights"]
    folder, whole, model = (tmp_path / name for name in ("folder", "b.ckpt", "b.safetensors"))
    for output in (whole, model):
        consolidate([str(folder), str(output)], "overtone")
    expected, found = read(tmp_path / "file.ckpt"), read(whole)
    same(read(model)["state_dict"], expected["state_dict"])
    same(found["state_dict"], expected["state_dict"])
    same(moments(found), moments(expected))
    assert found["lr_schedulers"] == expected["lr_schedulers"]
    for checkpoint in (folder, whole):
        going_on = {"plugins": [DurableCheckpointIO()], **settings}
        again = fakes.fit(going_on, ckpt_path=checkpoint)["weights"]
        for name, value in through.items():
            torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6, msg=name)


def moments(checkpoint: dict) -> dict:
    """Returns the tensors in the state of the optimizer, by name."""
    (state,) = checkpoint["optimizer_states"]
    entries = state["state"].items()
    return {(name, key): value for name, held in entries for key, value in held.items()}


def same(found: dict, expected: dict) -> None:
    """Fails unless all tensors are equal to the bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.dtype == found[name].dtype
        assert torch.equal(found[name], value), name


def test_what_cannot_be_joined_is_one_sentence(tmp_path):
    folder = str(written(tmp_path / "folder"))
    (tmp_path / "there.ckpt").touch()
    for words, sentence in (
        ((folder, "out.bin"), r"out.bin must end in \.safetensors or \.ckpt; rename it"),
        ((folder, str(tmp_path / "there.ckpt")), "exists already"),
        ((str(tmp_path / "there.ckpt"), str(tmp_path / "b.ckpt")), "is one file already"),
        ((str(tmp_path / "gone"), str(tmp_path / "b.ckpt")), "There is no checkpoint"),
    ):
        with pytest.raises((UserError, ValueError), match=sentence):
            consolidate(list(words), "overtone")


@pytest.mark.slow
def test_resuming_reads_shards_as_data(tmp_path):
    run_ranks(_train, 1, tmp_path / "third.ckpt")
    assert run_ranks(_resumed, 1, tmp_path / "third.ckpt") == [2]  # parameters and optimizer
    shutil.copytree(tmp_path / "third.ckpt", tmp_path / "evil.ckpt")
    marker = tmp_path / "marker"
    (tmp_path / "evil.ckpt" / LIST).unlink()  # whoever writes the folder writes its checksums, too
    (tmp_path / "evil.ckpt" / ".metadata").write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(RuntimeError, match="it was not written by torch"):
        run_ranks(_resumed, 1, tmp_path / "evil.ckpt")
    assert not marker.exists()
