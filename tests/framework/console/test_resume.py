"""A folder of shards is resumed by the strategy that reads it as data, and by no other."""

import pytest

from framework.console.resume import check_folder

OURS = {"class_path": "framework.strategies.FullyShardedStrategy", "init_args": {}}
LIGHTNINGS = {"class_path": "lightning.pytorch.strategies.FSDPStrategy", "init_args": {}}


def test_only_our_strategy_reads_a_folder(tmp_path):
    check_folder(str(tmp_path), OURS)
    for other in (LIGHTNINGS, "fsdp", "auto", {"class_path": "os.system"}):
        with pytest.raises(ValueError, match="is a folder of shards, which FullyShardedStrategy"):
            check_folder(str(tmp_path), other)
        check_folder(str(tmp_path / "a.ckpt"), other)
