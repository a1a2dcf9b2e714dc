"""A folder of shards has its name when it is complete, on all ranks, and damage is noticed."""

import json
import resource
import warnings

import pytest
from lightning.pytorch import Callback

from framework.callbacks import Checkpoint
from framework.checkpoints import read
from framework.checksums import LIST, is_intact
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import data, module, trainer
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
def test_folders_are_complete_and_resumed(tmp_path):
    assert run_ranks(fit, 2, tmp_path) == [3, 3]
    assert steps_in(tmp_path) == {"last": 3, "step=2": 2, "step=3": 3}
    for path in tmp_path.iterdir():
        files = {file.name for file in path.iterdir()} - {LIST}
        assert set(json.loads((path / LIST).read_text())) == files
        assert {".metadata", "meta.pt", "__0_0.distcp", "__1_0.distcp"} <= files
        assert is_intact(path)

    def resume():
        warnings.filterwarnings("ignore", "Checkpoint directory .* is not empty")
        return fit(tmp_path, steps=5, ckpt_path=tmp_path / "last.ckpt")

    assert run_ranks(resume, 2) == [5, 5]
    assert steps_in(tmp_path) == {"last": 5, "step=4": 4, "step=5": 5}
    shard = tmp_path / "step=5.ckpt" / "__1_0.distcp"
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    shard.write_bytes(raw)

    def refuse():
        warnings.filterwarnings("ignore", "Checkpoint directory .* is not empty")
        with pytest.raises(ValueError, match=r"damaged.*use '.*step=4.ckpt', which is whole"):
            fit(tmp_path, steps=6, ckpt_path=tmp_path / "last.ckpt")

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
