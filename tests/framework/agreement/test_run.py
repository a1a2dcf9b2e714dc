"""Ranks that are about to train differently end before the first step, all with one sentence."""

import os
from functools import partial

import pytest
import torch

from framework.agreement import run
from framework.agreement.facts import differences, flat
from framework.console.errors import user_message
from tests.framework.modules import fakes
from tests.ranks import run_ranks

END = "; start all processes with the same command, code and data."
FAULTS = {
    "lr": "model.optimizer.lr (0.5, not 0.01)",
    "batch_size": "data.batch_size (16, not 8)",
    "seed": "data.seed (16, not 1)",
    "size": "examples of the train data (16, not 48)",
    "max_steps": "trainer.max_steps (9, not 4)",
    "global": "seed (9, not 1)",
    "num_workers": "",  # which is its own matter, and so is the folder
}
VALUES = {"lr": 0.5, "max_steps": 9, "global": 9, "num_workers": 0}


def train(made, folder, strategy, **changes):
    """Takes four steps on this rank; returns the sentence of an error, "" without."""
    os.environ["PL_GLOBAL_SEED"] = str(changes.pop("global", 1))
    optimizer = partial(torch.optim.AdamW, lr=changes.pop("lr", 0.01))
    settings = {"max_steps": changes.pop("max_steps", 4), "default_root_dir": folder}
    strategy = strategy() if callable(strategy) else strategy
    world = int(os.environ.get("WORLD_SIZE", "1"))
    made.append(fakes.trainer(devices=world, strategy=strategy, **settings))
    try:
        made[-1].fit(fakes.module(optimizer=optimizer), fakes.Rows(**changes))
    except ValueError as error:
        return user_message(error)
    return ""


def train_all(folder, strategy):
    """Tries all faults one after the other; rank 1 has them."""
    torch.manual_seed(1)
    made, rank = [], int(os.environ["RANK"])
    changes = ({name: VALUES.get(name, 16)} if rank else {} for name in FAULTS)
    return [train(made, f"{folder}/{rank}", strategy, **change) for change in changes]


@pytest.mark.parametrize(
    "strategy", ["ddp", pytest.param(fakes.fsdp2, marks=pytest.mark.slow, id="fsdp2")]
)
def test_each_difference_is_named_on_all_ranks(strategy, tmp_path):
    expected = [
        fault and f"Rank 1 differs from rank 0 in {fault}{END}" for fault in FAULTS.values()
    ]
    for said in run_ranks(train_all, 2, tmp_path, strategy):
        assert said == expected


def test_ranks_that_never_come_and_addresses_that_are_none_end_a_run(tmp_path):
    def alone():
        os.environ.update(WORLD_SIZE="2", OVERTONE_CONNECT_SECONDS="1")
        said = [train([], tmp_path, "ddp")]
        for name, value in {"MASTER_ADDR": "no-such-host.invalid", "MASTER_PORT": "x"}.items():
            os.environ[name] = value
            said.append(train([], tmp_path, "ddp"))
        return said

    ((late, nowhere, no_port),) = run_ranks(alone, 1)
    assert late.startswith("Rank 1 of 2 did not come to MASTER_ADDR=127.0.0.1 MASTER_PORT=")
    assert nowhere.startswith(
        "MASTER_ADDR=no-such-host.invalid leads to no machine (tried for 1 s"
    )
    assert no_port.startswith("MASTER_PORT is no number (invalid literal")


def test_a_single_process_meets_nobody(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "Meeting", None)
    monkeypatch.setattr(run, "facts_of", None)
    assert train([], tmp_path, "auto") == ""


def test_paths_are_compared_by_their_last_part():
    recipe = {"data": {"class_path": "D", "init_args": {"path": "/here/a.csv", "columns": ["x"]}}}
    assert dict(flat(recipe)) == {"data": "D", "data.path": "a.csv", "data.columns.0": "x"}
    assert dict(flat({"a": None, "b": {}, "c": ""})) == {"a": "None", "b": "{}", "c": "''"}


def test_options_of_another_class_are_left_out():
    def facts(head, **options):
        return {"options": dict(flat({"head": {"class_path": head, "init_args": options}}))}

    first, own = facts("A", bins=3), facts("B", depth=2)
    first["data"] = own["data"] = {}
    assert differences(first, own) == [("head", "A", "B")]
    own["options"]["more"] = "1"
    assert differences(first, own)[1:] == [("more", "nothing", "1")]
