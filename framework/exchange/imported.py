"""Makes a checkpoint of ours from a directory of a published model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from components.data import TokenSpec
from components.supports import Tokens
from framework.checkpoints import compare
from framework.exchange.configuration import Configuration
from framework.exchange.files import Published, parse, read
from framework.exchange.formats import Format, Plan, factory, part
from framework.exchange.gpt2 import Gpt2
from framework.exchange.llama import Llama
from framework.exchange.olmo import HF_OLMO, OLMO
from framework.exchange.rows import check
from framework.modules.language import LanguageModel
from framework.modules.recipe import recipe

FORMATS: tuple[Format, ...] = (OLMO, HF_OLMO, Gpt2(), Llama())
ORIGIN = "published"  # where a checkpoint notes what it was imported from


@dataclass(frozen=True)
class Imported:
    """A published model as a checkpoint of ours.

    Args:
        format: How it was written.
        plan: What it is.
        checkpoint: What Lightning would have saved, and under `published` all that it takes to
            write the model again as it was.
        parameters: Number of its parameters.
        dtypes: Their types.
    """

    format: Format
    plan: Plan
    checkpoint: dict[str, Any]
    parameters: int
    dtypes: tuple[str, ...]


def import_directory(folder: Path) -> Imported:
    """Reads a published model as a checkpoint of a `LanguageModel`.

    Tensors keep their type; dropout and the state of the optimizer are not part of a model. Which
    tokens a vocabulary has is not known here, only how many rows the embedding has.

    Args:
        folder: The directory.

    Raises:
        ValueError: If a file is missing or damaged, the format is unknown, configuration and
            tensors disagree, or ours cannot be such a model.
    """
    published = read(folder)
    form, config = _recognize(folder, published)
    tensors = published.tensors
    plan = form.plan(config, tensors)
    tensors = form.parameters(plan, tensors)
    check(str(folder), plan.rows, tensors)
    state: dict[str, Tensor] = {}
    for row in plan.rows:
        state |= row.to_ours(tensors)
    _try(plan, state)
    checkpoint = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": state,
        "hyper_parameters": _recipe(plan),
        ORIGIN: _origin(form, published),
    }
    count = sum(tensor.numel() for tensor in tensors.values())
    dtypes = tuple(sorted({_type(tensor) for tensor in tensors.values()}))
    return Imported(form, plan, checkpoint, count, dtypes)


def _recognize(folder: Path, published: Published) -> tuple[Format, Configuration]:
    """Finds the format by the name of the configuration, and by what it says.

    Raises:
        ValueError: If it is none that we know.
    """
    path = f"{folder / published.config}"
    values = parse(path, published.texts[published.config])
    if published.config == OLMO.config:
        model = values.get("model")
        if not isinstance(model, Mapping):
            raise ValueError(f"{path} describes no model; OLMo's has a key `model`.")
        return OLMO, Configuration(path, model)
    for form in FORMATS:
        if values.get("model_type") in form.kinds:
            return form, Configuration(path, values)
    known = ", ".join(kind for form in FORMATS for kind in form.kinds)
    raise ValueError(
        f"{path} says model_type: {values.get('model_type')}, which is no format that can be "
        f"imported; these can: {known}."
    )


def _recipe(plan: Plan) -> dict[str, Any]:
    """Describes the module; how it is trained further is for the recipe of that run to say."""
    options = {
        "spec": TokenSpec(Tokens(plan.size), plan.length),
        "stem": part("TokenStem"),
        "backbone": part("Decoder", **plan.backbone),
        "head": part("LinearHead", bias=False),
        "tied": plan.tied,
        "losses": {"nll": part("NegativeLogLikelihood")},
        "optimizer": part("torch.optim.AdamW", lr=1e-4),
        "schedule": part("framework.schedules.Constant"),
    }
    return recipe(LanguageModel, options)


def _try(plan: Plan, state: Mapping[str, Tensor]) -> None:
    """Builds the backbone without memory, so that no checkpoint is made that does not load.

    Raises:
        ValueError: If a part refuses its options.
    """
    with torch.device("meta"):
        backbone: nn.Module = factory(part("Decoder", **plan.backbone))()
    expected = {f"backbone.{name}": x for name, x in backbone.state_dict().items()}
    found = {name: x for name, x in state.items() if name.startswith("backbone.")}
    compare("Decoder", expected, found)


def _origin(form: Format, published: Published) -> dict[str, Any]:
    """Notes in plain data how the files were, all but the numbers."""
    files = {
        file: {name: _type(tensor) for name, tensor in tensors.items()}
        for file, tensors in published.files.items()
    }
    return {
        "format": form.name,
        "config": published.config,
        "texts": published.texts,
        "files": files,
        "metadata": published.metadata,
    }


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
