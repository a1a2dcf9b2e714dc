"""Rebuilds a model with another attention, around the same weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from framework.importing import located
from framework.modules.base import PredictiveModule
from framework.modules.construction import build_module, describe, describe_module

ORDINARY: dict[str, Any] = {"class_path": "components.ScaledDotProduct", "init_args": {}}
"""Ordinary attention, with gradients into the past."""

INTERCHANGEABLE = ("ScaledDotProduct", "Myopic")  # operators with the same forward pass


def constant_past(constant: str) -> dict[str, Any]:
    """Describes attention without gradients into the past.

    Args:
        constant: What is constant in the past, `hidden` or `keys`; see `Myopic`.
    """
    return {"class_path": "components.Myopic", "init_args": {"constant": constant}}


def twin(module: PredictiveModule, attention: Mapping[str, Any]) -> PredictiveModule:
    """Rebuilds a model with another attention around the same parameters, for evaluation.

    Both hold the same tensors: training one changes the other.

    Args:
        module: The model, built, with whole parameters in this process.
        attention: Class path and options of the attention. The scale of the present one is kept.

    Raises:
        ValueError: If the backbone has no option `attention`, or its attention has another forward
            pass.
    """
    options = dict(module.hparams)
    if "_class_path" not in options:  # built in Python
        options = describe_module(type(module), module.hparams_initial)
    options = describe(options) | {"spec": module.spec}
    changed = {**options, "backbone": _with_attention(options["backbone"], attention)}
    other: PredictiveModule = build_module("The model", changed)
    with torch.device("meta"):
        other.configure_model()
    for name, part in other.named_modules():
        if part._parameters or part._buffers:
            own = module.get_submodule(name)
            for key, tensor in {**own._parameters, **own._buffers}.items():
                setattr(part, key, tensor)
    return other.eval()


def _with_attention(backbone: Mapping[str, Any], attention: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the description of a backbone with another attention."""
    path, options = backbone["class_path"], dict(backbone.get("init_args") or {})
    name, kind = path.rpartition(".")[2], located(path)
    if not callable(kind) or "attention" not in inspect.signature(kind).parameters:
        raise ValueError(
            f"{name} has no option attention, so that the gradient into its past cannot be "
            "removed; measure a model whose backbone is Decoder."
        )
    present: dict[str, Any] = options.get("attention") or ORDINARY
    operator = present["class_path"].rpartition(".")[2]
    if operator not in INTERCHANGEABLE:
        raise ValueError(
            f"The attention of this model is {operator}, whose forward pass is not that of "
            f"{' and '.join(INTERCHANGEABLE)}; measure a model with one of these."
        )
    scale = (present.get("init_args") or {}).get("scale")
    own = {**attention["init_args"], **({} if scale is None else {"scale": scale})}
    return {**backbone, "init_args": {**options, "attention": {**attention, "init_args": own}}}
