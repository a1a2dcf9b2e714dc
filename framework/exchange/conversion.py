"""Converts directories of published models into checkpoints of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from components import NegativeLogLikelihood
from components.data import TokenSpec
from framework.checkpoints import compare
from framework.data.tokens.text import TOKENIZER
from framework.exchange.configuration import Configuration
from framework.exchange.families import FAMILIES
from framework.exchange.files import Published, parse, read
from framework.exchange.formats import Format, ImportPlan, check
from framework.exchange.olmo import HF_OLMO, OLMO
from framework.exchange.tokenizer import describe_tokenizer
from framework.modules.construction import describe_module
from framework.schedules import Constant

FORMATS: dict[str, Format] = {form.name: form for form in (OLMO, HF_OLMO, *FAMILIES)}
ORIGIN = "published"  # where a checkpoint notes what it was imported from


@dataclass(frozen=True)
class Imported:
    """A published model as a checkpoint of ours.

    Args:
        format: The format of its files.
        plan: The model that its configuration describes.
        checkpoint: What Lightning would have saved, and under `published` all that it takes to
            write the model again as it was.
        parameters: Number of its parameters.
        dtypes: Their types.
    """

    format: Format
    plan: ImportPlan
    checkpoint: dict[str, Any]
    parameters: int
    dtypes: tuple[str, ...]


def import_directory(folder: Path, end: str | None = None) -> Imported:
    """Reads a published model as a checkpoint, of a `LanguageModel` unless it is one of series.

    Tensors keep their type. Dropout and the state of the optimizer are not read. A tokenizer is,
    from a `tokenizer.json`; the size of the vocabulary is the number of rows of the embedding.

    Args:
        folder: The directory.
        end: Name of the token that ends a text, in place of those that its files name.

    Raises:
        ValueError: If a file is missing or damaged, the format is unknown, configuration and
            tensors disagree, or no model of ours computes the same.
    """
    published = read(folder)
    form, config = _recognize(folder, published)
    tensors = published.tensors
    plan = form.plan(config, tensors)
    tensors = form.parameters(plan, tensors)
    check(str(folder), plan.tensors, tensors)
    state: dict[str, Tensor] = {}
    for one in plan.tensors:
        state |= one.to_ours(tensors)
    _check_backbone(plan, state)
    checkpoint = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": state,
        "hyper_parameters": _hyper_parameters(plan),
        ORIGIN: _origin(form, published, {x for one in plan.tensors for x in one.theirs}),
    }
    if isinstance(plan.spec, TokenSpec):
        tokenizer = describe_tokenizer(folder, plan.spec.support.size, end)
        checkpoint |= {} if tokenizer is None else {TOKENIZER: tokenizer}
    elif end is not None:
        raise ValueError(
            f"{folder} holds a model of series, which no token {end!r} ends; drop it."
        )
    count = sum(tensor.numel() for tensor in tensors.values())
    dtypes = tuple(sorted({_type(tensor) for tensor in tensors.values()}))
    return Imported(form, plan, checkpoint, count, dtypes)


def _recognize(folder: Path, published: Published) -> tuple[Format, Configuration]:
    """Finds the format by the name of the configuration and the `model_type` in it.

    Raises:
        ValueError: If it is none that can be imported.
    """
    path = f"{folder / published.config}"
    values = parse(path, published.texts[published.config])
    if published.config == OLMO.config:
        model = values.get("model")
        if not isinstance(model, Mapping):
            raise ValueError(f"{path} describes no model; OLMo's has a key `model`.")
        return OLMO, Configuration(path, model)
    for form in FORMATS.values():
        if form.describes(values):
            return form, Configuration(path, values)
    known = ", ".join(dict.fromkeys(kind for form in FORMATS.values() for kind in form.kinds))
    raise ValueError(
        f"{path} says model_type: {values.get('model_type')}, which is no format that can be "
        f"imported; these can: {known}."
    )


def _hyper_parameters(plan: ImportPlan) -> dict[str, Any]:
    """Describes the module; optimizer and schedule are replaced when it is trained further."""
    options = {
        "spec": plan.spec,
        "stem": plan.stem,
        "backbone": plan.backbone,
        "head": plan.head,
        "tied": plan.tied,
        "losses": {"nll": NegativeLogLikelihood},
        "optimizer": partial(torch.optim.AdamW, lr=1e-4),
        "schedule": Constant,
        **plan.options,
    }
    return describe_module(plan.module, options)


def _check_backbone(plan: ImportPlan, state: Mapping[str, Tensor]) -> None:
    """Builds the backbone without memory, so that every checkpoint that is made can be loaded.

    Raises:
        ValueError: If a part refuses its options.
    """
    with torch.device("meta"):
        backbone: nn.Module = plan.backbone()
    expected = {f"backbone.{name}": x for name, x in backbone.state_dict().items()}
    found = {name: x for name, x in state.items() if name.startswith("backbone.")}
    compare(plan.backbone.func.__name__, expected, found)


def _origin(form: Format, published: Published, known: set[str]) -> dict[str, Any]:
    """Records the files as plain data; the numbers only of constants, which are no parameters."""
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
        "binaries": published.binaries,
        "constants": _constants(form, published.tensors, known),
    }


def _constants(form: Format, tensors: Mapping[str, Tensor], known: set[str]) -> dict[str, Tensor]:
    """Returns the tensors that are no parameters; equal ones, as of masks, are held once."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in known or not form.is_constant(name):
            continue
        same = (x for x in found.values() if x.dtype == tensor.dtype and x.equal(tensor))
        found[name] = next(same, tensor)
    return found


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
