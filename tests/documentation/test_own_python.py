"""The page on checkpoints in Python does what it says, with a checkpoint that a run wrote."""

import re

import pytest

import cli
from framework import load_module
from tests.documentation.shown import blocks, commands

pytestmark = pytest.mark.slow  # it trains three times

PAGE = "docs/own/python.md"
STEPS = re.compile(r"max_steps=(\d+)")
SHORT = (
    "--trainer.max_steps=2",
    "--trainer.val_check_interval=2",
    "--trainer.limit_val_batches=1",
    "--trainer.num_sanity_val_steps=0",
)


def test_a_checkpoint_is_loaded_trained_on_and_given_another_head(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (words,) = commands(PAGE)
    cli.main([*words[1:], *SHORT])
    quiet = "max_steps=4, accelerator='cpu', logger=False, limit_val_batches=1"
    quiet += ", num_sanity_val_steps=0"
    exec(STEPS.sub(quiet, "\n".join(blocks(PAGE, "python"))), shown := {})
    series = len(shown["batch"].target)
    assert shown["nats"].shape == shown["mean"].shape == shown["highest"].shape == (series, 18)
    assert shown["draws"].shape == (100, series, 18)
    assert shown["longer"].global_step == 4  # from step 2 of the checkpoint
    assert shown["model"].head.__class__.__name__ == "FourierHead"
    assert shown["tuning"].global_step == 4
    assert "Parameters from runs/quickstart" in capsys.readouterr().out
    copied = load_module(shown["path"]).backbone.parameters()
    for before, after in zip(copied, shown["changed"].backbone.parameters(), strict=True):
        assert (after - before).abs().max() < 0.01  # four steps of .001 from there
