"""The small models of bytes, each trained once for all tests and workers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.framework.papers.token_encoding.verbs.byte_models import MODELS, fit


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets verbs compose their pictures and write a black dot: to draw takes half of their time.

    Of what a test does itself; fixtures of a module are made before this one.
    """
    dot = np.zeros((1, 1, 3), dtype=np.uint8)
    monkeypatch.setattr("framework.analysis.report.pixels", lambda *_: dot)


@pytest.fixture(scope="module")
def model(
    shared: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Returns the checkpoint of a model by name, in a copy that is the test file's own."""

    def copy(name: str) -> Path:
        runs = shared(f"model of bytes, {name}", lambda folder: fit(folder, *MODELS[name]))
        own = tmp_path_factory.mktemp("runs")
        shutil.copytree(runs, own, dirs_exist_ok=True)
        return next(own.glob("*/version_0/checkpoints/last.ckpt"))

    return copy


@pytest.fixture(scope="module")
def path(model: Callable[[str], Path]) -> Path:
    """A model with a read-out of its own."""
    return model("own")


@pytest.fixture(scope="module")
def tied(model: Callable[[str], Path]) -> Path:
    """A model that reads out with its embedding, as the recipe does."""
    return model("tied")
