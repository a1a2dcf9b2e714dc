"""Rebuilds the model of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoints import load_parameters, read
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module


def load_module(path: str | Path) -> PredictiveModule:
    """Builds the unsharded model of a checkpoint on the CPU, for evaluation.

    The checkpoint says which class it is of, and of which parts it is made; `configure_model` has
    been called.

    Args:
        path: A checkpoint of ours, a file or a folder of shards; or the name of a model that comes
            with Overtone.

    Returns:
        The module, in evaluation mode: `module(batch)` is the predictive distribution.

    Raises:
        ValueError: If it cannot be read, is no checkpoint of ours, or holds no description of its
            model.

    Example:
        >>> type(load_module("zero_shot")).__name__
        'Forecaster'
    """
    options = read(path).get("hyper_parameters", {})
    module: PredictiveModule = build_module(f"The checkpoint {str(path)!r}", options)
    module.configure_model()
    module.load_state_dict(load_parameters(Path(path)))
    return module.eval()
