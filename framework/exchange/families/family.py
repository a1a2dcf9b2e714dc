"""Families: published models of one kind, described by a table that importer and exporter read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from components import (
    Decoder,
    EncoderDecoder,
    FlexAttention,
    Myopic,
    ScaledDotProduct,
)
from framework.exchange.configuration import Configuration
from framework.exchange.families.entries import OWN, Entry, Options
from framework.exchange.families.names import Names
from framework.exchange.families.tasks import TEXT, Task
from framework.exchange.formats import Format, ImportPlan, Shape, TensorMap, Written, without_twin
from framework.exchange.harmless import HARMLESS
from framework.exchange.nodes import ConfigNode
from framework.modules.base import PredictiveModule
from framework.modules.construction import describe

EQUAL = {Myopic: ScaledDotProduct, FlexAttention: ScaledDotProduct}  # where nothing is trained
FREE = ("dropout", "std", "out_std")  # options that change training only
KEPT = ("backbone.attention.scale", "backbone.attention.cap")
PARTS = ("stem", "backbone", "head")


@dataclass(frozen=True)
class Family(Format):
    """Published models of one kind.

    Args:
        name: Name of the format.
        title: What such a model is called.
        architecture: The class of transformers.
        parts: Our parts, and those of their options that no entry reads.
        entries: What the keys of its configuration are here, in the order in which they are read.
        names: What its tensors are here.
        fixed: Keys with the only value that our parts can express.
        task: What such models do.
        stated: Keys that are written and not read.
        harmless: Further keys that change nothing that is computed.
        kind: What its configurations say under `model_type`; the name if not given.
        mark: A key without which a configuration is of another format of the same `model_type`.
    """

    name: str
    title: str
    architecture: str
    parts: Mapping[str, Any]
    entries: tuple[Entry, ...]
    names: Names
    fixed: Mapping[str, Any] = field(default_factory=dict)
    task: Task = TEXT
    stated: Mapping[str, Any] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()
    kind: str | None = None
    mark: str | None = None

    config = "config.json"
    weights = "model.safetensors"

    @property
    def continues(self) -> bool:  # type: ignore[override]  # as decided by its task
        """Whether files say how texts are continued."""
        return self.task.continues

    @property
    def module(self) -> type[PredictiveModule]:
        """The class of the modules that can be written."""
        return self.task.module

    @property
    def pipeline(self) -> str:
        """What such a model does, as the hub names it."""
        return self.task.pipeline

    @property
    def kinds(self) -> tuple[str, ...]:
        """What its configurations say under `model_type`."""
        return (self.kind or self.name,)

    def describes(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a configuration is one of this family."""
        return values.get("model_type") in self.kinds and self.mark in (None, *values)

    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> ImportPlan:
        """Plans the import of a model; see `Format.plan`."""
        read = {key for entry in self.entries for key in entry.keys}
        config.require_known({*read, *self.fixed, *HARMLESS, *self.harmless}, self.title)
        for key, value in self.fixed.items():
            config.require(key, value)
        known: Options = {**self.parts, OWN: self._reads_out(tensors)}
        for entry in self.entries:
            known |= entry.read(config, known)
        return ImportPlan(
            architecture=self.title,
            backbone=_factory(known, "backbone"),
            spec=self.task.spec(known),
            tied=known["tied"],
            tensors=self._maps(known, tensors),
            stem=_factory(known, "stem"),
            head=_factory(known, "head"),
            module=self.module,
            options=self.task.options(known),
        )

    def _reads_out(self, tensors: Mapping[str, Tensor]) -> bool:
        """Returns whether there is a read-out that is not the embedding."""
        found = tensors.get(f"{self.names.head(tensors)}.weight")
        table = tensors.get(f"{self.names.table(tensors)}.weight")
        return found is not None and (table is None or not found.equal(table))

    def parameters(self, plan: ImportPlan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leaves out constants, and a read-out that repeats the embedding."""
        kept = {name: x for name, x in tensors.items() if not self.names.is_constant(name)}
        for twin, table in self._twins(plan.tied, tensors).items():
            kept = without_twin(self.title, kept, twin, table)
        return kept

    def is_constant(self, name: str) -> bool:
        """Returns whether a tensor is no parameter, though files have it."""
        return self.names.is_constant(name)

    def write(
        self,
        owner: str,
        model: Mapping[str, Any],
        held: Mapping[str, Tensor],
        names: Collection[str] = (),
    ) -> Written:
        """Describes a model of ours in this format; see `Format.write`."""
        known = self._known(owner, model, held)
        self._require_expressible(owner, known)
        values: dict[str, Any] = {
            "architectures": [self.architecture],
            "model_type": self.kinds[0],
        }
        for entry in self.entries:
            values |= entry.write(owner, known)
        text = json.dumps({**values, **self.fixed, **self.stated}, indent=2) + "\n"
        return Written(text, self._maps(known, names), self._twins(known["tied"], names))

    def with_tokens(self, text: str, tokens: Mapping[str, Any]) -> str:
        """Adds ids of tokens to a configuration; see `Format.with_tokens`."""
        if not self.continues:
            return text
        return json.dumps({**json.loads(text), **tokens}, indent=2) + "\n"

    def _twins(self, tied: bool, names: Collection[str]) -> dict[str, str]:
        """Returns names of tensors that may repeat the embedding, whose name stands behind."""
        copies = [*self.names.copies, *([self.names.head(names)] if tied else [])]
        return {f"{one}.weight": f"{self.names.table(names)}.weight" for one in copies}

    def _known(self, owner: str, model: Mapping[str, Any], held: Mapping[str, Tensor]) -> Options:
        """Returns all options of a model of ours; those that have a default which depends too."""
        known = _flat(owner, model)
        known |= self.task.known(owner, model)
        known["tied"] = bool(model.get("tied", False))
        if known["backbone"] in (Decoder, EncoderDecoder):
            known["backbone.kv_heads"] = known["backbone.kv_heads"] or known["backbone.heads"]
            width = known["backbone.dim"] // known["backbone.heads"]
            known["backbone.head_dim"] = known["backbone.head_dim"] or width
            narrowing = "backbone.blocks.0.feedforward.down.weight"  # its width may be a default
            if narrowing not in held:
                raise ValueError(
                    f"{owner} lacks the parameter {narrowing}; export a whole checkpoint."
                )
            known["backbone.feedforward.hidden"] = held[narrowing].shape[1]
        return known

    def _require_expressible(self, owner: str, known: Options) -> None:
        """Checks that all that no entry writes is as this family has it.

        Raises:
            ValueError: If a part or an option is another.
        """
        expected = _flat(owner, _described(self.parts))
        written = {option for entry in self.entries for option in entry.options}
        for path in sorted(
            {*expected, *known} - written, key=lambda path: (path.count("."), path)
        ):
            name = path.rpartition(".")[2]
            if name in FREE or path.partition(".")[0] not in PARTS or _below(path, written):
                continue
            wanted, found = expected.get(path), known.get(path)
            if wanted != found:
                raise ValueError(_difference(owner, path, found, wanted, known))

    def _maps(self, known: Options, names: Collection[str]) -> list[TensorMap]:
        shapes = self._shapes(known)
        heads = known["backbone.heads"]
        return self.names.maps(shapes, known["backbone.depth"], heads, names)

    def _shapes(self, known: Options) -> dict[str, Shape]:
        """Returns the shapes of all parameters of a model, without making them."""
        dim, spec = known["backbone.dim"], self.task.spec(known)
        with torch.device("meta"):
            parts: dict[str, nn.Module] = {
                "stem": _factory(known, "stem")(dim=dim, spec=spec),
                "backbone": _factory(known, "backbone")(),
            }
            if not known["tied"]:
                parts["head"] = _factory(known, "head")(dim=dim, support=spec.support)
        return {name: tuple(x.shape) for name, x in nn.ModuleDict(parts).state_dict().items()}


def _flat(owner: str, model: Mapping[str, Any]) -> Options:
    """Returns classes and options of the parts by their paths; equal operators as one of them."""
    known: Options = {}
    for part in PARTS:
        known |= ConfigNode(owner, f"the {part}", model[part]).flat(part)
    operator = "backbone.attention"
    if known.get(operator) in EQUAL:
        known[operator] = EQUAL[known[operator]]
        known = {
            path: value
            for path, value in known.items()
            if not path.startswith(operator + ".") or path in KEPT
        }
    return known


def _described(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Describes the parts of a family as a checkpoint would."""
    return {part: describe(_factory(dict(parts), part)) for part in PARTS}


def _factory(known: Options, path: str) -> Any:
    """Builds the factory of a part, with all of its options."""
    options = {
        name.removeprefix(path + "."): value
        for name, value in known.items()
        if name.startswith(path + ".") and "." not in name[len(path) + 1 :]
    }
    made = {
        name: _factory(known, f"{path}.{name}") if isinstance(value, type) else value
        for name, value in options.items()
    }
    kind = known[path]
    if isinstance(kind, type) and issubclass(kind, nn.Module):
        return partial(kind, **made)
    return kind(**made)


def _below(path: str, written: Collection[str]) -> bool:
    """Returns whether an option is one of a part that an entry writes."""
    return any(path.startswith(one + ".") for one in written)


def _difference(owner: str, path: str, found: Any, wanted: Any, known: Options) -> str:
    above, _, name = path.rpartition(".")
    if isinstance(found, type) and isinstance(wanted, type):
        label = name if above else f"the {name}"
        return (
            f"{owner} has {label} {found.__name__}, which the format cannot express; only "
            f"{wanted.__name__} can be exported."
        )
    kind = known.get(above)
    of = f"{kind.__name__} with " if isinstance(kind, type) else ""
    text = found.__name__ if isinstance(found, type) else found
    value = wanted.__name__ if isinstance(wanted, type) else wanted
    return (
        f"{owner} has {of}{name}={text}, which the format cannot express; only {name}={value} can "
        "be exported."
    )
