"""The entry of windows of attention: of all blocks, or of those that a list or a rule names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from framework.exchange.configuration import Configuration
from framework.exchange.families.entries import Entry, Options

WINDOW, DEPTH = "backbone.window", "backbone.depth"
FULL, SLIDING = "full_attention", "sliding_attention"


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


def every(number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that all blocks but every `number`-th have the window."""
    return lambda index, config: bool((index + 1) % number)


def by_pattern(key: str, number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that all blocks but every n-th have the window, where a key says n."""
    return lambda index, config: bool((index + 1) % config.size(key, number))


def from_block(key: str, number: int) -> Callable[[int, Configuration], bool]:
    """Returns the rule that blocks from the one on that a key names have the window."""
    return lambda index, config: index >= int(config.values.get(key, number))


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
