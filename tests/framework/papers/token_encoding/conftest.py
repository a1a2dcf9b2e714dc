"""A small language model that was trained for a while by the command line, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import cli
from components import NormalMatrices
from framework.analysis import Sample
from framework.analysis.sample import Spread
from framework.checkpoints import read
from framework.data import BytePairTokenizer, PythonLibrary, TokenData
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module
from framework.modules.loading import load_module
from framework.papers.token_encoding import Readout, Statistics, gather, readout
from tests.conftest import leave_out

STEPS = 192
DIM, SIZE = 64, 2048  # half of the width of the recipe, and of its tokens
LIMIT = 2_000_000  # bytes of text


@dataclass
class Trained:
    """The model of `token_encoding/small`, untied and smaller, after 192 steps on code."""

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
        trained = "trained" in getattr(item, "fixturenames", ())
        if trained and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


def train(runs: Path) -> None:
    """Trains it; the only picture is that of the scores."""
    words = [
        *("fit", "--config", "token_encoding/small", "--trainer.default_root_dir", str(runs)),
        *("--data.source", "PythonLibrary", "--data.source.limit", str(LIMIT)),
        *("--trainer.max_steps", str(STEPS), "--trainer.val_check_interval", str(STEPS)),
        *("--trainer.limit_val_batches", "1", "--trainer.logger", "CSVLogger"),
        *("--trainer.logger.save_dir", str(runs), "--trainer.logger.name", "small"),
        *("--trainer.enable_progress_bar", "false", "--model.tied", "false"),
        *("--model.backbone.dim", str(DIM), "--data.tokenizer", "BytePairTokenizer"),
        *("--data.tokenizer.vocab_size", str(SIZE), "--data.batch_size", "16"),
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("framework.papers.token_encoding.callback._draw", lambda moment: {})
        leave_out(patch)
        cli.main(words)


@pytest.fixture(scope="session")
def trained(shared: Callable[..., Path]) -> Trained:
    """Trains the model once for all tests and workers; takes some ten seconds."""
    runs = shared("trained", train)
    path = next(runs.glob("small/version_0/checkpoints/last.ckpt"))
    module = load_module(path)
    data = TokenData(PythonLibrary(LIMIT), BytePairTokenizer(SIZE), length=64)
    fit, held_out = (
        gather(module, Sample(Spread(data.dataset(split), size), None, 64), size * 64)
        for split, size in (("train", 128), ("val", 128))
    )
    return Trained(path, path.parents[1], module, data, readout(module), fit, held_out)


@torch.random.fork_rng(devices=())
def drawn(trained: Trained, dim: int) -> PredictiveModule:
    """Builds the model in another width, with the random weights of the recipe."""
    torch.manual_seed(0)
    options = read(trained.path)["hyper_parameters"]
    options["backbone"]["init_args"]["dim"] = dim
    module: PredictiveModule = build_module("The model", options)
    module.configure_model()
    NormalMatrices().apply(module.stem, module.backbone, module.head)
    return module.eval()
