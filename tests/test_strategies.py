"""One process, DDP and FSDP2 by overlay on two: the same recipe ends with the same weights.

One process is that of the test and comes first, so that forked ones know what it read of classes.
"""

from functools import partial

import pytest
import torch

import cli
import framework.console.command  # noqa: F401  # once, before processes are forked
from tests.ranks import run_ranks


def train(folder, processes, *more, recipe="two_peaks"):
    """Takes three steps on this rank."""
    options = (
        f"default_root_dir={folder}",
        f"devices={processes}",
        "enable_checkpointing=true",
        "limit_val_batches=0",
        "max_steps=3",
    )
    smoke = ("--config", recipe, "--config", "smoke")
    cli.main(["fit", *smoke, *more, *(f"--trainer.{option}" for option in options)])


def evaluate(checkpoint, folder, *more):
    """Evaluates on this rank what the command names by its checkpoint only."""
    options = ("limit_test_batches=1", f"default_root_dir={folder}", *more)
    cli.main(["test", "--ckpt_path", str(checkpoint), *(f"--trainer.{o}" for o in options)])


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The weights that one process ends with."""
    folder = tmp_path_factory.mktemp("alone")
    train(folder, 1)
    return weights(folder)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", ["strategy/ddp", "strategy/fsdp2"])
def test_two_processes_end_with_the_weights_of_one(overlay, expected, tmp_path):
    run_ranks(train, 2, tmp_path, 2, "--config", overlay)
    found = weights(tmp_path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_a_tied_fanformer_is_sharded(tmp_path):
    """Stem and head read one embedding, whose gradients come from both, built or sent."""
    fanformer = partial(train, recipe="fanformer/tiny")
    fanformer(tmp_path / "alone", 1)
    expected = weights(tmp_path / "alone")
    for name, more in {"built": [], "sent": ["--model.execution.meta=true"]}.items():
        run_ranks(fanformer, 2, tmp_path / name, 2, "--config", "strategy/fsdp2", *more)
        same_and_tied(weights(tmp_path / name), expected)


def same_and_tied(found, expected):
    """Fails unless weights are equal, and none is of a head."""
    assert found.keys() == expected.keys()
    assert not any(name.startswith("head") for name in found)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_a_folder_of_shards_is_evaluated_by_the_recipe_beside_it(tmp_path):
    shards = ("--config", "strategy/fsdp2", "--trainer.strategy.save_distributed_checkpoint=true")
    run_ranks(train, 2, tmp_path, 2, *shards)
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    assert checkpoint.is_dir()
    evaluate(checkpoint, tmp_path / "by one process", "strategy=auto", "devices=1")
    run_ranks(evaluate, 2, checkpoint, tmp_path / "evaluated")
    for folder in ("evaluated", "by one process"):
        assert list((tmp_path / folder / "figures").glob("*.png"))
