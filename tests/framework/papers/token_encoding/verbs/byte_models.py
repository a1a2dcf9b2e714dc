"""Small models of bytes that the command line trains for a few steps, for verbs that read them."""

from pathlib import Path

import pytest

import cli
from tests.conftest import leave_out

MODELS = {  # options by name
    "own": [],  # a read-out of its own
    "20 steps": ["--trainer.max_steps=20", "--trainer.val_check_interval=20"],
    "tied": ["--model.tied=true"],
    "fan": ["--model.head=FanHead", "--model.head.hidden=8"],
    "wide": ["--model.backbone.dim=64"],
}


def fit(folder: Path, *options: str) -> Path:
    """Trains one without pictures, for three steps by default; returns its checkpoint."""
    sizes = ["--model.backbone.dim=8", "--model.backbone.depth=1", "--model.backbone.heads=2"]
    sizes += ["--model.backbone.positions.length=16"]
    text = ["--data.source=PythonLibrary", "--data.source.limit=40000"]
    text += ["--data.tokenizer=ByteTokenizer", "--data.length=16", "--data.batch_size=4"]
    limits = ["--trainer.max_steps=3", "--trainer.val_check_interval=3"]
    limits += ["--trainer.num_sanity_val_steps=0", "--trainer.limit_val_batches=1"]
    place = ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}"]
    quiet = ["--trainer.enable_progress_bar=false", "--model.tied=false"]
    quiet += ["--trainer.callbacks=[]"]
    words = [*sizes, *text, *limits, *place, *quiet, *options]
    with pytest.MonkeyPatch.context() as patch:
        leave_out(patch)
        cli.main(["fit", "--config", "token_encoding/small", *words])
    return next(folder.glob("*/version_0/checkpoints/last.ckpt"))
