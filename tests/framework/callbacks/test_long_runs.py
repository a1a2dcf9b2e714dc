"""What a run keeps while it trains: nothing grows with its steps."""

import gc
from collections import Counter

import pytest
import torch
from lightning.pytorch import Callback

import cli

COUNTED = (41, 61, 121)  # steps, each right after a validation; the first count makes objects, too
EVERY = 20  # steps between two of them
COUNTS = []  # objects of each type, and bytes of each tensor's storage


class Census(Callback):
    """Counts the objects that Python's collector knows, and the bytes of tensors among them."""

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step in COUNTED:
            gc.collect()
            found = gc.get_objects()
            storages = {
                one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
                for one in found
                if type(one) in (torch.Tensor, torch.nn.Parameter)  # no fake of another test
            }
            COUNTS.append((Counter(type(one).__qualname__ for one in found), storages))


@pytest.mark.slow
def test_nothing_grows_with_the_steps_of_a_run(tmp_path, unsaved_pictures):
    """`benchmarks.memory` measures the process, over 20,000 steps and with pictures."""
    COUNTS.clear()
    words = {
        "trainer.accelerator": "cpu",
        "trainer.max_steps": COUNTED[-1],
        "trainer.val_check_interval": EVERY,
        "trainer.log_every_n_steps": 1,
        "trainer.default_root_dir": tmp_path,
        "trainer.callbacks": f"{__name__}.Census",
        "checkpoint.every_n_train_steps": EVERY,
    }
    configs = ["--config", "two_peaks", "--config", "logger/csv"]
    cli.main(["fit", *configs, *(f"--{name}={value}" for name, value in words.items())])
    _, (early, before), (late, after) = COUNTS
    grown = {name: late[name] - early[name] for name in late if late[name] > early[name]}
    assert sum(grown.values()) < (COUNTED[-1] - COUNTED[-2]) / 2, grown
    assert sum(after.values()) <= sum(before.values())
    assert len(list(tmp_path.rglob("step=*.ckpt"))) == 2
