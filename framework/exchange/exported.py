"""Writes a checkpoint of ours in the format of OLMo, in which FANformer is published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from components.data import TokenSpec
from framework import checkpoints
from framework.checkpoints import load_parameters
from framework.exchange.description import Described
from framework.exchange.files import Published, parse
from framework.exchange.imported import ORIGIN
from framework.exchange.olmo import HF_OLMO, OLMO, OlmoFormat
from framework.exchange.olmo.writing import described, values

FORMATS: dict[str, OlmoFormat] = {form.name: form for form in (OLMO, HF_OLMO)}


def export(path: Path, form: OlmoFormat | None = None) -> Published:
    """Arranges a checkpoint as its published model would be.

    One that was imported from this format comes back as it was, each tensor bit for bit.

    Args:
        path: The checkpoint, a file or a folder of shards.
        form: The format; if not given, the one it was imported from, or the native one.

    Raises:
        ValueError: If the checkpoint cannot be read, or the format has no such model.
    """
    checkpoint = checkpoints.read(path)
    origin: Mapping[str, Any] = checkpoint.get(ORIGIN, {})
    form = form or FORMATS.get(origin.get("format", ""), OLMO)
    recipe = checkpoint.get("hyper_parameters", {})
    if not isinstance(recipe.get("spec"), TokenSpec):
        raise ValueError(
            f"The checkpoint {str(path)!r} is of no LanguageModel; export one of text."
        )
    owner = f"The checkpoint {str(path)!r}"
    held = {name: x for name, x in load_parameters(path).items() if not name.startswith("losses.")}
    model = described(owner, recipe, held)
    rows = form.rows(model)
    ours = {name for row in rows for name in row.ours}
    if held.keys() != ours:
        name = min(held.keys() ^ ours)
        has, not_so = ("has", "does not know") if name in held else ("lacks", "needs")
        raise ValueError(
            f"{owner} {has} the parameter {name}, which the format {form.name} {not_so}; only "
            "plain models can be exported."
        )
    tensors: dict[str, Tensor] = {}
    for row in rows:
        tensors |= row.to_theirs(held)
    if origin.get("format") in FORMATS:
        return _again(form, origin, tensors)
    drop = Described(owner, "the backbone", recipe["backbone"]).options["dropout"]
    first = Described(owner, "the stem", recipe["stem"]).options["dropout"]
    text = form.text(values(model, drop, first))
    return Published(form.config, {form.config: text}, {form.weights: tensors})


def _again(form: OlmoFormat, origin: Mapping[str, Any], tensors: dict[str, Tensor]) -> Published:
    """Restores what was imported: names in their order, types, texts; or its like in the other."""
    source, config = FORMATS[origin["format"]], origin["config"]
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
