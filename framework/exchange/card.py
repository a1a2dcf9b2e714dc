"""The card of an exported model: what it is, how it was made, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.data import SeriesSpec, TokenSpec
from framework.checkpoints import recipe_of
from framework.exchange.formats import Format
from framework.run_files import METRICS

CARD = "README.md"
UNKNOWN = "unknown"  # as the hub names it


def card(
    path: Path,
    checkpoint: Mapping[str, Any],
    form: Format,
    parameters: int,
    licence: str | None,
) -> str:
    """Writes the card of a model in Markdown, with a head that the hub reads.

    Args:
        path: The checkpoint.
        checkpoint: Its contents.
        form: The format.
        parameters: Number of its parameters.
        licence: Licence of the weights, as the hub names it; unknown if not given.
    """
    spec = checkpoint["hyper_parameters"]["spec"]
    head = {"license": licence or UNKNOWN, "pipeline_tag": form.pipeline}
    head |= {"library_name": "transformers"} if form.name not in ("olmo", "hf_olmo") else {}
    recipe = _recipe(path)
    parts = [
        f"---\n{yaml.safe_dump({**head, 'tags': ['overtone', form.name]}, sort_keys=False)}---",
        f"# {path.stem}",
        f"A model of the kind {form.title}, {_origin(checkpoint)}.",
        _table(
            {
                "parameters": f"{parameters:,}",
                **_reads(spec),
                "optimizer steps": f"{checkpoint.get('global_step', 0):,}",
            }
        ),
        "## Data",
        _data(recipe),
        "## Measured",
        _measured(path),
        "## Recipe",
        _block({name: value for name, value in recipe.items() if name != "data"})
        or _block({"model": _plain(checkpoint["hyper_parameters"])}),
        "## Licence",
        licence or "Not stated: ask whoever trained it, and mind the licence of the data.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(recipe: Mapping[str, Any]) -> str:
    """Writes the data of a recipe, or why they are not known."""
    if "data" in recipe:
        return _block(recipe["data"])
    if recipe:  # as that of an imported model
        return "Not stated: the recipe beside the checkpoint names no data."
    return "Not stated: no recipe was saved beside the checkpoint."


def _reads(spec: TokenSpec | SeriesSpec) -> dict[str, str]:
    """Returns what a model reads and predicts."""
    if isinstance(spec, SeriesSpec):
        return {"values of the past": f"{spec.context:,}", "values ahead": f"{spec.horizon:,}"}
    return {
        "tokens that can be predicted": f"{spec.support.size:,}",
        "positions of the longest sequence": f"{spec.length:,}",
    }


def _origin(checkpoint: Mapping[str, Any]) -> str:
    if "published" not in checkpoint:
        return "trained with Overtone"
    return f"converted with Overtone from the format {checkpoint['published']['format']}"


def _recipe(path: Path) -> dict[str, Any]:
    """Returns the recipe that lies beside a checkpoint; nothing if there is none."""
    try:
        read = yaml.safe_load(recipe_of(str(path)).read_text(encoding="utf-8"))
    except (ValueError, OSError, yaml.YAMLError):
        return {}
    return {str(name): value for name, value in read.items()} if isinstance(read, dict) else {}


def _measured(path: Path) -> str:
    """Writes the numbers of the run of a checkpoint as a table."""
    for folder in (path.parent, path.parent.parent):
        if (folder / METRICS).is_file():
            found = json.loads((folder / METRICS).read_text(encoding="utf-8"))
            numbers = {k: f"{v:.6g}" for k, v in found.items() if isinstance(v, int | float)}
            return "At the end of the run that saved it:\n\n" + _table(numbers)
    return "No numbers were saved beside the checkpoint; `overtone test` measures them."


def _table(rows: Mapping[str, str]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|--:|", *lines])


def _block(values: Any) -> str:
    """Writes values as a block of YAML; nothing where there are none."""
    if not values:
        return ""
    return f"```yaml\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}```"


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a model that are plain data."""
    kept = {name: value for name, value in options.items() if not name.startswith("_")}
    found: dict[str, Any] = json.loads(
        json.dumps({**kept, "spec": str(kept["spec"])}, default=str)
    )
    return found
