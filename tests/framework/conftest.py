"""A language model in pairs of bytes that the command line trained for a few steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import cli

TEXT = "The license grants a right to use, copy and merge; no warranty of any kind.\n"
OTHER = "Seventeen naïve wizards vexed a sphinx — quickly, over and over.\n"


@dataclass
class Written:
    """The model, and the texts beside it."""

    folder: Path
    checkpoint: Path
    other: Path  # a text that it was not trained on


def train(folder: Path) -> None:
    lines = (f"{TEXT[k % 40 :]}{TEXT}{k}" for k in range(60))
    (folder / "text.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "other.txt").write_text(OTHER * 30, encoding="utf-8")
    sizes = ["--model.backbone.dim=16", "--model.backbone.depth=2", "--model.backbone.heads=2"]
    sizes += ["--model.backbone.positions=Learned", "--model.backbone.positions.length=32"]
    text = ["--data.source=TextFiles", f"--data.source.train={folder}/text.txt"]
    text += ["--data.tokenizer=BytePairTokenizer", "--data.tokenizer.vocab_size=300"]
    text += ["--data.length=32", "--data.batch_size=4", "--trainer.max_steps=4"]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.val_check_interval=4"]
    place = ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={folder}/runs"]
    cli.main(["fit", "--config", "sotu", *sizes, *text, *quiet, *place])


@pytest.fixture(scope="session")
def written(shared: Callable[..., Path]) -> Written:
    """Trains the model once for all tests and workers; takes seconds."""
    folder = shared("text_model", train)
    checkpoint = folder / "runs/sotu/version_0/checkpoints/best.ckpt"
    return Written(folder, checkpoint, folder / "other.txt")
