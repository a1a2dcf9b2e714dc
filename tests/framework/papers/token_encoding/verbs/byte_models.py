"""A small model of bytes that the command line trains for three steps, for verbs that ask it."""

from pathlib import Path

import cli


def fit(folder: Path, *options: str) -> Path:
    """Trains it in a second or two; returns its checkpoint."""
    sizes = ["--model.backbone.dim=8", "--model.backbone.depth=1", "--model.backbone.heads=2"]
    sizes += ["--model.backbone.positions.length=16"]
    text = ["--data.source=PythonLibrary", "--data.source.limit=40000"]
    text += ["--data.tokenizer=ByteTokenizer", "--data.length=16", "--data.batch_size=4"]
    limits = ["--trainer.max_steps=3", "--trainer.val_check_interval=3"]
    place = ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}"]
    quiet = ["--trainer.enable_progress_bar=false", "--model.tied=false"]
    words = [*sizes, *text, *limits, *place, *quiet, *options]
    cli.main(["fit", "--config", "token_encoding/small", *words])
    return next(folder.glob("*/version_0/checkpoints/last.ckpt"))
