"""Builds the model of a checkpoint again."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoints import load_parameters, read
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module


def load_module(path: str | Path) -> PredictiveModule:
    """Builds the model of a checkpoint, for evaluation, whole on the CPU.

    Args:
        path: A checkpoint of ours, a file or a folder of shards.

    Raises:
        ValueError: If it cannot be read, or does not say how its model was built.
    """
    options = read(path).get("hyper_parameters", {})
    module: PredictiveModule = build_module(f"The checkpoint {str(path)!r}", options)
    module.configure_model()
    module.load_state_dict(load_parameters(Path(path)))
    return module.eval()
