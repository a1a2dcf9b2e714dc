"""Converts directories of published models into checkpoints of ours, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from components import LinearHead, NegativeLogLikelihood, TokenStem
from components.data import TokenSpec
from components.supports import Tokens
from framework import checkpoints
from framework.checkpoints import compare, load_parameters
from framework.data.tokens.text import TOKENIZER
from framework.exchange.configuration import Configuration
from framework.exchange.files import Published, parse, read
from framework.exchange.formats import Format, ImportPlan, check
from framework.exchange.gpt2 import Gpt2
from framework.exchange.llama import Llama
from framework.exchange.olmo import HF_OLMO, OLMO, OlmoFormat
from framework.exchange.olmo.writing import ConfigNode, architecture_of, values
from framework.exchange.tokenizer import describe_tokenizer
from framework.modules.construction import describe_module
from framework.modules.language import LanguageModel
from framework.schedules import Constant

IMPORTED: tuple[Format, ...] = (OLMO, HF_OLMO, Gpt2(), Llama())
EXPORTED: dict[str, OlmoFormat] = {form.name: form for form in (OLMO, HF_OLMO)}
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


def import_directory(folder: Path) -> Imported:
    """Reads a published model as a checkpoint of a `LanguageModel`.

    Tensors keep their type. Dropout and the state of the optimizer are not read. A tokenizer is,
    from a `tokenizer.json`; the size of the vocabulary is the number of rows of the embedding.

    Args:
        folder: The directory.

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
        ORIGIN: _origin(form, published),
    }
    tokenizer = describe_tokenizer(folder, plan.size)
    if tokenizer is not None:
        checkpoint[TOKENIZER] = tokenizer
    count = sum(tensor.numel() for tensor in tensors.values())
    dtypes = tuple(sorted({_type(tensor) for tensor in tensors.values()}))
    return Imported(form, plan, checkpoint, count, dtypes)


def export(path: Path, form: OlmoFormat | None = None) -> Published:
    """Converts a checkpoint into a published model.

    If it was imported from this format and not trained since, files and bits are those it had.

    Args:
        path: The checkpoint, a file or a folder of shards.
        form: The format; if not given, the one it was imported from, or the native one.

    Raises:
        ValueError: If the checkpoint cannot be read, or the format has no such model.
    """
    checkpoint = checkpoints.read(path)
    origin: Mapping[str, Any] = checkpoint.get(ORIGIN, {})
    form = form or EXPORTED.get(origin.get("format", ""), OLMO)
    model = checkpoint.get("hyper_parameters", {})
    if not isinstance(model.get("spec"), TokenSpec):
        raise ValueError(
            f"The checkpoint {str(path)!r} is of no LanguageModel; export one of text."
        )
    owner = f"The checkpoint {str(path)!r}"
    held = {name: x for name, x in load_parameters(path).items() if not name.startswith("losses.")}
    sizes = architecture_of(owner, model, held)
    maps = form.tensors(sizes)
    ours = {name for one in maps for name in one.ours}
    if held.keys() != ours:
        name = min(held.keys() ^ ours)
        has, not_so = ("has", "does not know") if name in held else ("lacks", "needs")
        raise ValueError(
            f"{owner} {has} the parameter {name}, which the format {form.name} {not_so}; only "
            "plain models can be exported."
        )
    tensors: dict[str, Tensor] = {}
    for one in maps:
        tensors |= one.to_theirs(held)
    if origin.get("format") in EXPORTED:
        return _restored(form, origin, tensors)
    dropout = ConfigNode(owner, "the backbone", model["backbone"]).options["dropout"]
    embedding_dropout = ConfigNode(owner, "the stem", model["stem"]).options["dropout"]
    text = form.text(values(sizes, dropout, embedding_dropout))
    return Published(form.config, {form.config: text}, {form.weights: tensors})


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
    for form in IMPORTED:
        if values.get("model_type") in form.kinds:
            return form, Configuration(path, values)
    known = ", ".join(kind for form in IMPORTED for kind in form.kinds)
    raise ValueError(
        f"{path} says model_type: {values.get('model_type')}, which is no format that can be "
        f"imported; these can: {known}."
    )


def _hyper_parameters(plan: ImportPlan) -> dict[str, Any]:
    """Describes the module; optimizer and schedule are replaced when it is trained further."""
    options = {
        "spec": TokenSpec(Tokens(plan.size), plan.length),
        "stem": TokenStem,
        "backbone": plan.backbone,
        "head": partial(LinearHead, bias=False),
        "tied": plan.tied,
        "losses": {"nll": NegativeLogLikelihood},
        "optimizer": partial(torch.optim.AdamW, lr=1e-4),
        "schedule": Constant,
    }
    return describe_module(LanguageModel, options)


def _check_backbone(plan: ImportPlan, state: Mapping[str, Tensor]) -> None:
    """Builds the backbone without memory, so that every checkpoint that is made can be loaded.

    Raises:
        ValueError: If a part refuses its options.
    """
    with torch.device("meta"):
        backbone: nn.Module = plan.backbone()
    expected = {f"backbone.{name}": x for name, x in backbone.state_dict().items()}
    found = {name: x for name, x in state.items() if name.startswith("backbone.")}
    compare("Decoder", expected, found)


def _origin(form: Format, published: Published) -> dict[str, Any]:
    """Records the files as plain data, without the numbers."""
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


def _restored(
    form: OlmoFormat, origin: Mapping[str, Any], tensors: dict[str, Tensor]
) -> Published:
    """Restores the names in their order, the types and the texts that were imported."""
    source, config = EXPORTED[origin["format"]], origin["config"]
    files = {
        file: {
            form.prefix + name.removeprefix(source.prefix): getattr(torch, dtype)
            for name, dtype in types.items()
        }
        for file, types in origin["files"].items()
    }
    texts, metadata = dict(origin["texts"]), dict(origin["metadata"])
    if source is not form:
        read = parse(config, texts[config])
        texts = {form.config: form.text(read.get("model", read))}
        files = {form.weights: {name: x for types in files.values() for name, x in types.items()}}
        config, metadata = form.config, {}
    typed = {
        file: {name: tensors[name].to(dtype) for name, dtype in types.items()}
        for file, types in files.items()
    }
    return Published(config, texts, typed, metadata)
