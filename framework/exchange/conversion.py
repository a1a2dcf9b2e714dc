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

from components import LinearHead, NegativeLogLikelihood
from components.data import TokenSpec
from components.supports import Tokens
from framework import checkpoints
from framework.checkpoints import compare, load_parameters
from framework.data.tokens.text import TOKENIZER
from framework.exchange.card import CARD, card
from framework.exchange.companions import generation_file, tokenizer_files
from framework.exchange.configuration import Configuration
from framework.exchange.families import FAMILIES
from framework.exchange.files import COMPANIONS, Published, parse, read
from framework.exchange.formats import Format, ImportPlan, check
from framework.exchange.merging import merged
from framework.exchange.olmo import HF_OLMO, OLMO, OlmoFormat
from framework.exchange.tokenizer import describe_tokenizer
from framework.modules.construction import describe_module
from framework.modules.language import LanguageModel
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
        ORIGIN: _origin(form, published, {x for one in plan.tensors for x in one.theirs}),
    }
    tokenizer = describe_tokenizer(folder, plan.size)
    if tokenizer is not None:
        checkpoint[TOKENIZER] = tokenizer
    count = sum(tensor.numel() for tensor in tensors.values())
    dtypes = tuple(sorted({_type(tensor) for tensor in tensors.values()}))
    return Imported(form, plan, checkpoint, count, dtypes)


def export(path: Path, form: Format | None = None, licence: str | None = None) -> Published:
    """Converts a checkpoint into a published model.

    If it was imported from this format and not trained since, files and bits are those it had.

    Args:
        path: The checkpoint, a file or a folder of shards.
        form: The format; if not given, the one it was imported from, or the native one.
        licence: Licence of the weights for the card, as the hub names it; unknown if not given.

    Raises:
        ValueError: If the checkpoint cannot be read, or the format has no such model.
    """
    checkpoint = checkpoints.read(path)
    origin: Mapping[str, Any] = checkpoint.get(ORIGIN, {})
    if licence is not None and origin:
        raise ValueError(
            f"The checkpoint {str(path)!r} was imported and keeps the card that it came with; "
            f"drop licence={licence}, and write it there."
        )
    source = FORMATS.get(origin.get("format", ""))
    form = form or source or OLMO
    model = checkpoint.get("hyper_parameters", {})
    if not isinstance(model.get("spec"), TokenSpec):
        raise ValueError(
            f"The checkpoint {str(path)!r} is of no LanguageModel; export one of text."
        )
    owner = f"The checkpoint {str(path)!r}"
    held = {name: x for name, x in load_parameters(path).items() if not name.startswith("losses.")}
    held = merged(owner, model.get("adaptation"), held)
    names = [x for file in origin["files"].values() for x in file] if source is form else []
    written = form.write(owner, model, held, names)
    ours = {name for one in written.tensors for name in one.ours}
    if held.keys() != ours:
        name = min(held.keys() ^ ours)
        has, not_so = ("has", "does not know") if name in held else ("lacks", "needs")
        raise ValueError(
            f"{owner} {has} the parameter {name}, which the format {form.name} {not_so}; only "
            "plain models can be exported."
        )
    tensors: dict[str, Tensor] = {}
    for one in written.tensors:
        tensors |= one.to_theirs(held)
    if source is form:
        return _restored(origin, tensors, written.twins)
    if isinstance(source, OlmoFormat) and isinstance(form, OlmoFormat):
        return _translated(source, form, origin, tensors)
    metadata = {form.weights: {"format": "pt"}} if form.weights.endswith(".safetensors") else {}
    texts = {form.config: written.text, **_companions(path, checkpoint, form, tensors, licence)}
    texts |= {name: x for name, x in origin.get("texts", {}).items() if name in COMPANIONS}
    binaries = dict(origin.get("binaries", {}))
    return Published(form.config, texts, {form.weights: tensors}, metadata, binaries)


def _companions(
    path: Path,
    checkpoint: Mapping[str, Any],
    form: Format,
    tensors: Mapping[str, Tensor],
    licence: str | None,
) -> dict[str, str]:
    """Writes what goes along with a model that was trained here."""
    count = sum(tensor.numel() for tensor in tensors.values())
    length = checkpoint["hyper_parameters"]["spec"].length
    texts = {CARD: card(path, checkpoint, form.title, form.name, count, licence)}
    texts |= tokenizer_files(checkpoint, length)
    return texts if isinstance(form, OlmoFormat) else texts | generation_file(checkpoint)


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
        "spec": TokenSpec(Tokens(plan.size), plan.length),
        "stem": plan.stem,
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


def _restored(
    origin: Mapping[str, Any], tensors: dict[str, Tensor], twins: Mapping[str, str]
) -> Published:
    """Restores files, names in their order, types and texts that were imported."""
    held = {**origin.get("constants", {}), **tensors}
    held |= {twin: tensors[name] for twin, name in twins.items()}
    typed = {
        file: {name: held[name].to(getattr(torch, dtype)) for name, dtype in types.items()}
        for file, types in origin["files"].items()
    }
    texts, metadata = dict(origin["texts"]), dict(origin["metadata"])
    binaries = dict(origin.get("binaries", {}))
    return Published(origin["config"], texts, _apart(typed), metadata, binaries)


def _apart(files: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Copies tensors that share memory with an earlier one, which safetensors refuse to save."""
    seen: set[int] = set()
    for tensors in files.values():
        for name, tensor in tensors.items():
            if tensor.data_ptr() in seen:
                tensors[name] = tensor.clone()
            seen.add(tensor.data_ptr())
    return files


def _translated(
    source: OlmoFormat, form: OlmoFormat, origin: Mapping[str, Any], tensors: dict[str, Tensor]
) -> Published:
    """Writes a model that was imported from one of OLMo's formats in the other."""
    types = {
        form.prefix + name.removeprefix(source.prefix): getattr(torch, dtype)
        for names in origin["files"].values()
        for name, dtype in names.items()
    }
    read = parse(origin["config"], origin["texts"][origin["config"]])
    typed = {name: tensors[name].to(dtype) for name, dtype in types.items()}
    texts = {name: text for name, text in origin["texts"].items() if name in COMPANIONS}
    texts[form.config] = form.text(read.get("model", read))
    binaries = dict(origin.get("binaries", {}))
    return Published(form.config, texts, {form.weights: typed}, binaries=binaries)
