"""Makes arms comparable: equal data and batches, and equal steps, parameters or seconds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from framework.console import recipes
from framework.console.command import Command
from framework.console.equal_parameters import MULTIPLE
from framework.console.errors import UserError
from framework.costs.shapes import twin
from framework.execution import PLAIN
from framework.studies.runs import launch
from framework.whole_files import write_text

Equal = Literal["steps", "parameters", "seconds"]

BATCHES = (  # options of the trainer that say which examples a step and an evaluation have
    *("accumulate_grad_batches", "devices", "num_nodes", "overfit_batches"),
    *("limit_train_batches", "limit_val_batches", "limit_test_batches"),
    *("max_steps", "max_epochs", "min_steps", "min_epochs", "max_time"),
    *("val_check_interval", "check_val_every_n_epoch"),
)
WIDTH = "model.backbone.feedforward.hidden"
PROBES = (64, 128)  # widths, between which the number of parameters is a straight line
SPEEDS = "speeds.json"  # in the folder: how long steps take
ROUNDS = 3  # of measurements, one arm after the other in each
STEPS = ("--warmup=3", "--steps=20")  # of a measurement

Words = Mapping[str, list[str]]
"""Words of the command line, by the name of the arm."""


class Inspected(Command):
    """Parses a training command, and trains nothing.

    Args:
        words: What would follow `fit` on the command line.
        program: Name of the command.
    """

    def __init__(self, words: Sequence[str], program: str) -> None:
        super().__init__(recipes.with_paths(["fit", *words]), "compare", program)

    def instantiate_classes(self) -> None:
        """Builds nothing yet."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Trains nothing."""

    def options(self) -> dict[str, Any]:
        """Returns all options, with their defaults."""
        options: dict[str, Any] = self.config[self.subcommand].as_dict()
        return options

    def parameters(self) -> int:
        """Counts the parameters of the model, which is built without storage."""
        with self._placed():
            module = self.parser.instantiate_classes(self.config)[self.subcommand].model
            built = twin(module, PLAIN)
        return sum(parameter.numel() for parameter in built.parameters())


def require_equal(recipe: Sequence[str], arms: Words, program: str) -> dict[str, Any]:
    """Checks that all arms can be parsed and train on the same batches.

    Args:
        recipe: Words that they share.
        arms: Their own words.
        program: Name of the command.

    Returns:
        All options of the first one.

    Raises:
        UserError: If an option is wrong, or data or batches differ.
    """
    found = {name: Inspected([*recipe, *words], program).options() for name, words in arms.items()}
    (first, reference), *others = found.items()
    for name, options in others:
        for option, value, other in _differences(_data(reference), _data(options)):
            raise UserError(
                f"{first} and {name} differ in {option} ({value}, {other}), so that they would "
                "not train and validate on the same batches; vary something else."
            )
    return reference


def _data(options: Mapping[str, Any]) -> dict[str, Any]:
    trainer = {name: options["trainer"].get(name) for name in BATCHES}
    return {"data": options["data"], "trainer": trainer}


def _differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields the names of unequal options, and both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            inner = name if key == "init_args" else f"{name}.{key}".strip(".")
            yield from _differences(one.get(key), other.get(key), inner)
    elif one != other:
        yield name, one, other


def with_equal_parameters(recipe: Sequence[str], arms: Words, program: str) -> Words:
    """Sets the width of feed-forward networks so that arms have as many parameters as the first.

    Widths are multiples of 4, so that the numbers are equal up to two units of each network.

    Raises:
        UserError: If a backbone has no such width, an arm sets it, or nothing would be left of it.
    """

    def count(words: Sequence[str]) -> int:
        return Inspected([*recipe, *words], program).parameters()

    (first, reference), *others = arms.items()
    wanted = count(reference)
    equal = {first: reference}
    for name, words in others:
        if any(word.startswith(f"--{WIDTH}=") for word in words):
            raise UserError(f"--equal parameters sets {WIDTH}, and so does {name}; drop it there.")
        if count(words) != wanted:
            words = [*words, f"--{WIDTH}={_width(count, words, wanted, name)}"]
        equal[name] = words
    return equal


def _width(count: Any, words: Sequence[str], wanted: int, name: str) -> int:
    """Returns the width with which an arm has the wanted number of parameters."""
    low, high = PROBES
    try:
        few, many = (count([*words, f"--{WIDTH}={width}"]) for width in PROBES)
    except UserError as error:
        raise UserError(
            f"--equal parameters sets {WIDTH}, which {name} does not have; use --equal steps."
        ) from error
    unit = (many - few) / (high - low)
    width: int = MULTIPLE * round((low + (wanted - few) / unit) / MULTIPLE)
    if width < MULTIPLE:
        raise UserError(
            f"--equal parameters: {name} has {few - low * unit:,.0f} parameters besides its "
            f"feed-forward networks, all of the first arm are {wanted:,}; name a larger arm first."
        )
    return width


def with_equal_seconds(
    recipe: Sequence[str], arms: Words, options: Mapping[str, Any], folder: Path
) -> Words:
    """Sets the steps of arms so that they train as long as the first one, as measured here.

    Args:
        recipe: Words that they share.
        arms: Their own words.
        options: All options of the first one.
        folder: Where what was measured is kept.

    Raises:
        UserError: If the recipe does not say how many steps it takes, or measuring fails.
    """
    steps = options["trainer"]["max_steps"]
    if steps is None or steps < 1:
        raise UserError("--equal seconds changes trainer.max_steps, which is not set; set it.")
    speeds = _speeds(folder, {name: [*recipe, *words] for name, words in arms.items()})
    first = speeds[next(iter(arms))]
    interval = options["trainer"]["val_check_interval"]
    return {
        name: [*words, *_scaled(steps, interval, first / speeds[name])]
        for name, words in arms.items()
    }


def _scaled(steps: int, interval: int | float | None, ratio: float) -> list[str]:
    """Returns the words that change the steps of a run, and between validations, by a ratio.

    Example:
        >>> _scaled(1000, 250, 0.501)
        ['--trainer.max_steps=500', '--trainer.val_check_interval=125']
    """
    if not isinstance(interval, int):
        return [f"--trainer.max_steps={max(1, round(steps * ratio))}"]
    between = max(1, round(interval * ratio))
    times, rest = divmod(steps, interval)
    total = times * between + (0 if rest == 0 else max(1, round(rest * ratio)))
    return [f"--trainer.max_steps={total}", f"--trainer.val_check_interval={between}"]


def _speeds(folder: Path, commands: Words) -> dict[str, float]:
    """Measures how long a step of each arm takes, unless that is known: the median of rounds."""
    path = folder / SPEEDS
    known: dict[str, float] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    missing = {name: words for name, words in commands.items() if json.dumps(words) not in known}
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        taken: dict[str, list[float]] = {name: [] for name in missing}
        for _ in range(ROUNDS):
            for name, words in missing.items():
                taken[name].append(_seconds_per_step(folder, words))
        for name, words in missing.items():
            known[json.dumps(words)] = statistics.median(taken[name])
        write_text(path, json.dumps(known, indent=1))
    return {name: known[json.dumps(words)] for name, words in commands.items()}


def _seconds_per_step(folder: Path, words: Sequence[str]) -> float:
    log, output = folder / "bench.txt", folder / "bench.json"
    with log.open("w", encoding="utf-8") as file:
        status = launch(["bench", *words, *STEPS, f"--output={output}"], 1, file)
    if status:
        raise UserError(f"A step of `bench {' '.join(words)}` cannot be measured; see {log}.")
    measured: dict[str, float] = json.loads(output.read_text(encoding="utf-8"))
    output.unlink()
    return measured["step_seconds"]
