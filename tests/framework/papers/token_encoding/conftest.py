"""A small language model that was trained for a while by the command line, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import cli
from framework.analysis import Sample
from framework.analysis.sample import Spread
from framework.data import PythonLibrary, TokenData
from framework.modules.base import PredictiveModule
from framework.modules.loading import load_module
from framework.papers.token_encoding import Readout, Statistics, gather, readout

STEPS = 280


@dataclass
class Trained:
    """The model of `token_encoding/small`, untied, after 280 steps on code."""

    path: Path  # checkpoint
    folder: Path  # of the run
    module: PredictiveModule
    data: TokenData
    readout: Readout
    fit: Statistics  # of training text, all of its contexts kept
    held_out: Statistics  # of validation text


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of the trained model as slow."""
    for item in items:
        here = Path(__file__).parent in item.path.parents
        if here and "trained" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def train(runs: Path) -> None:
    """Trains it, with no picture but the last: TensorBoard would get three of each moment."""
    cli.main([
        *("fit", "--config", "token_encoding/small", "--trainer.default_root_dir", str(runs)),
        *("--data.source", "PythonLibrary", "--data.source.limit", "10000000"),
        *("--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", str(STEPS)),
        *("--trainer.limit_val_batches", "1", "--trainer.logger", "CSVLogger"),
        *("--trainer.logger.save_dir", str(runs), "--trainer.logger.name", "small"),
        *("--trainer.enable_progress_bar", "false", "--model.tied", "false"),
    ])  # fmt: skip


@pytest.fixture(scope="session")
def trained(shared: Callable[..., Path]) -> Trained:
    """Trains the model once for all tests and workers; takes some twenty seconds."""
    runs = shared("trained", train)
    path = next(runs.glob("small/version_0/checkpoints/last.ckpt"))
    module = load_module(path)
    data = TokenData(PythonLibrary(limit=None), length=64)
    fit, held_out = (
        gather(module, Sample(Spread(data.dataset(split), size), None, 64), size * 64)
        for split, size in (("train", 256), ("val", 128))
    )
    return Trained(path, path.parents[1], module, data, readout(module), fit, held_out)
