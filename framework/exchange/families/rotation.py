"""The entry of rotary positions, which configurations spread over several keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components import LinearScaling, Llama3Scaling, Rotary, YarnScaling
from framework.exchange.configuration import Configuration
from framework.exchange.families.entries import Entry, Options
from framework.exchange.families.windows import FULL, SLIDING, WINDOW

POSITIONS, NEAR = "backbone.positions", "backbone.window_positions"
LENGTH = "length"
SCALINGS: dict[str, tuple[type, dict[str, str]]] = {  # their type; our class; their keys, ours
    "linear": (LinearScaling, {"factor": "factor"}),
    "llama3": (
        Llama3Scaling,
        {
            "factor": "factor",
            "original_max_position_embeddings": "length",
            "low_freq_factor": "low",
            "high_freq_factor": "high",
        },
    ),
    "yarn": (
        YarnScaling,
        {
            "factor": "factor",
            "original_max_position_embeddings": "length",
            "beta_fast": "fast",
            "beta_slow": "slow",
            "attention_factor": "attention_factor",
        },
    ),
}
NEEDED = {"linear": 1, "llama3": 4, "yarn": 2}  # how many of these keys have no default


@dataclass(frozen=True)
class Rotation(Entry):
    """Rotary positions: base, fraction and scaling, in one mapping or beside it as in older files.

    Args:
        theta: Base where a configuration does not say.
        fraction: Fraction of a head where it does not say; 1 if models of the kind rotate whole
            heads, whatever is said.
        theta_key: The older key of the base.
        fraction_key: The older key of the fraction.
        near_key: The older key of the base in blocks with a window.
        near_theta: Base in blocks with a window where a configuration does not say; None if all
            blocks have the same positions.
    """

    theta: float = 10000.0
    fraction: float = 1.0
    theta_key: str = "rope_theta"
    fraction_key: str = "partial_rotary_factor"
    near_key: str | None = None
    near_theta: float | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The mapping, its older name, and the older keys."""
        near = () if self.near_key is None else (self.near_key,)
        return ("rope_parameters", "rope_scaling", self.theta_key, self.fraction_key, *near)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of positions; those of blocks with a window where they have their own."""
        paths = (POSITIONS,) if self.near_theta is None else (POSITIONS, NEAR)
        return tuple(f"{path}{name}" for path in paths for name in ("", *_NAMES))

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the positions; see `Entry.read`."""
        stated = _mapping(config, "rope_parameters") or _mapping(config, "rope_scaling")
        outer = {"rope_theta": config.values.get(self.theta_key)}
        outer["partial_rotary_factor"] = config.values.get(self.fraction_key)
        if self.near_theta is None:
            return self._one(POSITIONS, config, {**_given(outer), **stated}, known, self.theta)
        nested = FULL in stated or SLIDING in stated
        full = stated.get(FULL) or {} if nested else stated
        near = stated.get(SLIDING) or {} if nested else {}
        of_near = config.values.get(self.near_key) if self.near_key else outer["rope_theta"]
        default = self.near_theta
        found = self._one(POSITIONS, config, {**_given(outer), **full}, known, self.theta)
        inner = {**_given({"rope_theta": of_near}), **near}
        of_windows = self._one(NEAR, config, inner, known, default)
        same = all(
            found[POSITIONS + x] == of_windows[NEAR + x] for x in _names_of(of_windows, NEAR)
        )
        if known[WINDOW] is None or (same and len(found) == len(of_windows)):
            return {**found, NEAR: None}
        return {**found, **of_windows}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the mapping; see `Entry.write`."""
        full = self._mapping_of(owner, POSITIONS, known)
        if self.near_theta is None:
            if full["rope_type"] != "default":
                return {"rope_parameters": full}
            older = {self.theta_key: full["rope_theta"]}
            if self.fraction != 1:
                older[self.fraction_key] = full["partial_rotary_factor"]
            return {"rope_parameters": full, **older}
        near = full if known.get(NEAR) is None else self._mapping_of(owner, NEAR, known)
        return {"rope_parameters": {FULL: full, SLIDING: near}}

    def _one(
        self,
        path: str,
        config: Configuration,
        stated: Mapping[str, Any],
        known: Options,
        theta: float,
    ) -> Options:
        """Reads one mapping."""
        kind = stated.get("rope_type", stated.get("type")) or "default"
        inner = Configuration(config.path, {**stated, "rope_type": kind})
        inner.require("rope_type", "default", *SCALINGS)
        _, keys = SCALINGS.get(kind, (None, {}))
        general = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
        if kind == "yarn":
            inner.require("truncate", True)
            general |= {"truncate"}
        allowed = general | set(keys) | ({_ORIGINAL} if kind == "default" else set())
        if unknown := sorted(set(stated) - allowed):
            raise ValueError(
                f"{config.path} says {unknown[0]}: {stated[unknown[0]]} for rope_type: {kind}, "
                "which is unknown; only models without it can be imported."
            )
        fraction = inner.number("partial_rotary_factor", self.fraction)
        if self.fraction == 1 != fraction:
            raise ValueError(
                f"{config.path} says partial_rotary_factor: {fraction}, which transformers does "
                "not apply in models of this kind; remove the key if whole heads were rotated."
            )
        found: Options = {
            path: Rotary,
            f"{path}.theta": inner.number("rope_theta", theta),
            f"{path}.fraction": fraction,
        }
        return found | _scaling(inner, f"{path}.scaling", kind, known)

    def _mapping_of(self, owner: str, path: str, known: Options) -> dict[str, Any]:
        if known[path] is not Rotary:
            raise ValueError(
                f"{owner} has positions {known[path].__name__}, which the format cannot express; "
                "only Rotary can be exported."
            )
        written: dict[str, Any] = {"rope_theta": known[f"{path}.theta"], "rope_type": "default"}
        scaling = known[f"{path}.scaling"]
        for kind, (made, keys) in SCALINGS.items():
            if scaling is made:
                own = {k: known[f"{path}.scaling.{name}"] for k, name in keys.items()}
                written |= {"rope_type": kind, **_given(own)}
        if self.fraction != 1:
            written["partial_rotary_factor"] = known[f"{path}.fraction"]
        if self.fraction == 1 and known[f"{path}.fraction"] != 1:
            raise ValueError(
                f"{owner} has Rotary with fraction={known[f'{path}.fraction']}, which the format "
                "cannot express; only fraction=1.0 can be exported."
            )
        return written


_ORIGINAL = "original_max_position_embeddings"
_NAMES = (
    *(".theta", ".fraction", ".scaling"),
    *sorted({f".scaling.{name}" for _, keys in SCALINGS.values() for name in keys.values()}),
)


def _scaling(inner: Configuration, path: str, kind: str, known: Options) -> Options:
    """Reads the scaling of one mapping."""
    if kind == "default":
        return {path: None}
    made, keys = SCALINGS[kind]
    found: Options = {path: made}
    for position, (key, name) in enumerate(keys.items()):
        if not inner.has(key) and position >= NEEDED[kind]:
            continue
        if not inner.has(key) and key != _ORIGINAL:
            raise ValueError(f"{inner.path} says rope_type: {kind} without {key}; state it.")
        if key == _ORIGINAL:
            found[f"{path}.{name}"] = inner.size(key, known[LENGTH])
        else:
            found[f"{path}.{name}"] = inner.number(key, 1.0)
    return found


def _mapping(config: Configuration, key: str) -> dict[str, Any]:
    value = config.values.get(key) or {}
    return value if isinstance(value, dict) else {"rope_type": value}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _names_of(found: Options, path: str) -> list[str]:
    return [name.removeprefix(path) for name in found]
