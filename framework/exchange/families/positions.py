"""Entries of rotary positions and of windows, which configurations spread over several keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components import LinearScaling, Llama3Scaling, Rotary, YarnScaling
from framework.exchange.configuration import Configuration
from framework.exchange.families.entries import Entry, Options

POSITIONS, NEAR = "backbone.positions", "backbone.window_positions"
WINDOW, DEPTH, LENGTH = "backbone.window", "backbone.depth", "length"
FULL, SLIDING = "full_attention", "sliding_attention"
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
        fraction: Fraction of a head where it does not say.
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
        found: Options = {
            path: Rotary,
            f"{path}.theta": inner.number("rope_theta", theta),
            f"{path}.fraction": inner.number("partial_rotary_factor", self.fraction),
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


@dataclass(frozen=True)
class Windows(Entry):
    """Windows of attention: of all blocks, or of those that a list or a rule names.

    Args:
        switch: The key that must be true for a window to count; None if there is none.
        rule: Whether block i of a model has the window where a configuration does not list them;
            None if all have it, and there is no list.
        default: The window where a configuration does not say; None for none.
        more: Further keys, which the rule may read.
    """

    switch: str | None = None
    rule: Callable[[int, Configuration], bool] | None = None
    default: int | None = None
    more: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys."""
        switch = () if self.switch is None else (self.switch,)
        listed = () if self.rule is None else ("layer_types",)
        return ("sliding_window", *switch, *listed, *self.more)

    @property
    def options(self) -> tuple[str, ...]:
        """The window."""
        return (WINDOW,)

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the window; see `Entry.read`."""
        stated = config.values.get("sliding_window", self.default)
        off = self.switch is not None and not config.flag(self.switch, False)
        if stated is None or off:
            self._require_full(config)
            return {WINDOW: None}
        size = config.size("sliding_window", self.default)
        if self.rule is None:
            return {WINDOW: size}
        listed = config.values.get("layer_types")
        if listed is None:
            chosen = [self.rule(index, config) for index in range(known[DEPTH])]
        else:
            chosen = [kind == SLIDING for kind in _kinds(config, known[DEPTH])]
        return {WINDOW: _cycle([size if one else None for one in chosen])}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the keys; see `Entry.write`."""
        depth = known[DEPTH]
        given = known[WINDOW]
        cycle = given if isinstance(given, list) else [given]
        windows = [cycle[index % len(cycle)] for index in range(depth)]
        sizes = sorted({one for one in windows if one is not None})
        if len(sizes) > 1 or (self.rule is None and len(set(windows)) > 1):
            raise ValueError(
                f"{owner} has Decoder with window={given}, which the format cannot express; only "
                "one window can be exported" + ("." if self.rule else ", that of all blocks.")
            )
        always = self.rule is not None and self.switch is None  # a number even if none uses it
        unused = self.default if always else None
        written: dict[str, Any] = {"sliding_window": sizes[0] if sizes else unused}
        if self.switch is not None:
            written[self.switch] = bool(sizes)
        if self.rule is not None:
            written["layer_types"] = [SLIDING if one else FULL for one in windows]
        return written

    def _require_full(self, config: Configuration) -> None:
        listed = config.values.get("layer_types") if self.rule is not None else None
        if listed is not None and SLIDING in listed:
            raise ValueError(
                f"{config.path} says layer_types: {SLIDING}, but has no sliding_window; state it."
            )


_ORIGINAL = "original_max_position_embeddings"
_NAMES = (
    *(".theta", ".fraction", ".scaling"),
    *sorted({f".scaling.{name}" for _, keys in SCALINGS.values() for name in keys.values()}),
)


def every(number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that all blocks but every `number`-th have the window."""
    return lambda index, config: bool((index + 1) % number)


def by_pattern(key: str, number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that all blocks but every n-th have the window, where a key says n."""
    return lambda index, config: bool((index + 1) % config.size(key, number))


def from_block(key: str, number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that blocks from the one on that a key names have the window."""
    return lambda index, config: index >= int(config.values.get(key, number))


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


def _kinds(config: Configuration, depth: int) -> list[str]:
    listed = config.values["layer_types"]
    if not isinstance(listed, list) or len(listed) != depth or set(listed) - {FULL, SLIDING}:
        raise ValueError(
            f"{config.path} says layer_types: {listed}; one of {FULL} or {SLIDING} for each of "
            f"{depth} blocks is needed."
        )
    return listed


def _cycle(windows: list[int | None]) -> int | list[int | None] | None:
    """Returns the shortest list that repeats to the windows of all blocks, or the one window."""
    for size in range(1, len(windows) + 1):
        if all(windows[index] == windows[index % size] for index in range(len(windows))):
            return windows[0] if size == 1 else windows[:size]
    raise AssertionError("a list repeats itself")


def _mapping(config: Configuration, key: str) -> dict[str, Any]:
    value = config.values.get(key) or {}
    return value if isinstance(value, dict) else {"rope_type": value}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _names_of(found: Options, path: str) -> list[str]:
    return [name.removeprefix(path) for name in found]
