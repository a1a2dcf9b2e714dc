"""Converts checkpoints of ours into published models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from framework import checkpoints
from framework.checkpoints import load_parameters
from framework.exchange.card import CARD, card
from framework.exchange.companions import generation_file, token_ids, tokenizer_files
from framework.exchange.conversion import FORMATS, ORIGIN
from framework.exchange.files import COMPANIONS, Published, parse
from framework.exchange.formats import Format
from framework.exchange.merging import merged
from framework.exchange.olmo import OLMO, OlmoFormat


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
    if not isinstance(model.get("spec"), form.module.kind):
        raise ValueError(
            f"The checkpoint {str(path)!r} is of no {form.module.__name__}, which the format "
            f"{form.name} needs; export another, or choose another format."
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
    config = form.with_tokens(written.text, token_ids(checkpoint))
    texts = {form.config: config, **_companions(path, checkpoint, form, tensors, licence)}
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
    texts = {CARD: card(path, checkpoint, form, count, licence)} | tokenizer_files(checkpoint)
    return texts | generation_file(checkpoint) if form.continues else texts


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
