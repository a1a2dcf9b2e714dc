"""A folder of shards is read as data, by our strategy or by those that leave files to us."""

import pytest

from framework.console.resume import check_folder

OURS = {"class_path": "framework.strategies.FullyShardedStrategy", "init_args": {}}
LIGHTNINGS = {"class_path": "lightning.pytorch.strategies.FSDPStrategy", "init_args": {}}
DDP = {"class_path": "lightning.pytorch.strategies.DDPStrategy", "init_args": {}}


def test_a_folder_is_read_as_data_or_not_at_all(tmp_path):
    def check(strategy, path=tmp_path, writes=None):
        check_folder(str(path), {"strategy": strategy, "enable_checkpointing": writes})

    for own in (OURS, DDP, "auto", "ddp"):
        check(own)
    check(OURS, writes=False)
    others = [(name, None) for name in (LIGHTNINGS, "fsdp", {"class_path": "os.system"})]
    for strategy, writes in [*others, (DDP, False), ("auto", False)]:
        with pytest.raises(ValueError, match=r"folder of shards.*`overtone consolidate .* MODEL"):
            check(strategy, writes=writes)
        check(strategy, tmp_path / "a.ckpt", writes)
