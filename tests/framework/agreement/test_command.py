"""The command line on several ranks, and on data that changed: what cannot go on says so."""

import os

import numpy as np
import pytest

import cli
import framework.console.command  # noqa: F401  # once, before processes are forked
from tests.ranks import run_ranks

pytestmark = pytest.mark.slow
TINY = ("--config", "two_peaks", "--config", "smoke", "--config", "strategy/ddp")
TOKENS = (
    *("--config", "sotu", "--config", "smoke", "--data.source=TokenFiles"),
    *("--data.source.vocab_size=100", "--data.length=16", "--data.tokenizer=null"),
    *("--model.backbone.dim=16", "--model.backbone.heads=2", "--trainer.limit_val_batches=0"),
    "--trainer.enable_checkpointing=true",
)


def run(*args):
    """Returns the status of a command line."""
    try:
        cli.main([*args])
    except SystemExit as end:
        return end.code
    return 0


def fit(folder, *words):
    """Trains on this rank by its own words, in its own folder."""
    rank = int(os.environ["RANK"])
    place = (f"--trainer.default_root_dir={folder}/{rank}", f"--data.num_workers={rank}")
    more = ("--trainer.devices=2", "--trainer.enable_checkpointing=true")
    return run("fit", *TINY, *place, *more, *words[rank])


def validate(checkpoint):
    words = ("--config", "strategy/ddp", "--trainer.devices=2", "--trainer.logger=false")
    return run("validate", "--ckpt_path", str(checkpoint), *words)


@pytest.mark.filterwarnings("ignore")  # of forking workers
def test_ranks_train_by_the_same_words_or_not_at_all(tmp_path, capfd):
    other = ("--model.optimizer.lr=0.5", "--trainer.max_steps=3")
    run("fit", *TINY, "--print_config")  # classes are read here, not by each rank again
    capfd.readouterr()
    assert run_ranks(fit, 2, tmp_path, (), other) == [2, 2]
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if "error" in line] == 2 * [
        "lightning fit: error: Rank 1 differs from rank 0 in trainer.max_steps (3, not 2) and "
        "model.optimizer.lr (0.5, not 0.002); start all processes with the same command, code and "
        "data."
    ]
    assert list(tmp_path.rglob("*.ckpt")) == []
    assert run_ranks(fit, 2, tmp_path, (), ()) == [0, 0]
    last = tmp_path / "0" / "checkpoints" / "last.ckpt"
    assert run_ranks(validate, 2, last) == [0, 0]  # by the recipe beside it, and the overlay
    assert f"Recipe of the checkpoint: {last.parents[1] / 'config.yaml'}" in capfd.readouterr().err


def test_tokens_that_were_cut_in_half_do_not_go_on(tmp_path, capsys):
    path = tmp_path / "tokens.bin"
    ids = np.random.default_rng(0).integers(1, 100, 4001).astype(np.uint16)
    ids.tofile(path)
    files = (f"--data.source.train={path}", f"--data.source.val={path}")
    words = ("fit", *TOKENS, *files)
    assert run(*words, f"--trainer.default_root_dir={tmp_path}") == 0
    last = tmp_path / "checkpoints" / "last.ckpt"
    ids[:2001].tofile(path)
    capsys.readouterr()
    again = f"--trainer.default_root_dir={tmp_path}/again"
    assert run(*words, again, "--ckpt_path", str(last), "--trainer.max_steps=4") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "other training data (examples: 250 there, 125 here): examples would be" in said
    assert said.endswith(f"or start a new run from the parameters with --init_from {last}.")
    assert run(*words, again, "--init_from", str(last)) == 0
