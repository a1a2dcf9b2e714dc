"""Rebuilds the model of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoints import load_parameters, read
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module


def load_module(path: str | Path) -> PredictiveModule:
    """Builds the unsharded model of a checkpoint on the CPU, for evaluation.

    Args:
        path: A checkpoint of ours, a file or a folder of shards.

    Raises:
        ValueError: If it cannot be read, or holds no description of its model.
    """
    options = read(path).get("hyper_parameters", {})
    module: PredictiveModule = build_module(f"The checkpoint {str(path)!r}", options)
    module.configure_model()
    module.load_state_dict(load_parameters(Path(path)))
    return module.eval()
