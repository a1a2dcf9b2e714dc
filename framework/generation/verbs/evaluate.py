"""Measures perplexity and bits per byte of files of text, or scores on tasks of lm-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from framework.console.checkpoint_options import leading
from framework.console.devices import fabric_on
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.data.files import existing_file
from framework.data.tokens.tokenizer import Tokenizer
from framework.generation.model import TextModel
from framework.generation.scoring import Score, ScoredFile, score
from framework.generation.tasks import measure, require_harness
from framework.tables import table

DESCRIPTION = (
    "Measures how well a language model predicts files of text: nats a token, perplexity, and "
    "bits a byte, which compare between tokenizers. `evaluate CHECKPOINT FILE...`, then options; "
    "a file is one document, or JSON lines (.jsonl, .json.gz) with one an object. "
    "`evaluate CHECKPOINT --tasks NAME,NAME` measures it on tasks of lm-eval-harness instead."
)


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of evaluate.

    Args:
        column: Name under which an object of JSON lines has its text.
        tokenizer: The tokenizer of a model whose checkpoint holds none, as imported ones; null:
            that of the checkpoint.
        batch_size: Windows in a batch.
        accelerator: Device, as of the trainer.
        tasks: Tasks of lm-eval-harness, separated by commas, in place of files; null: none.
        task_folder: Folder of YAML files of further tasks; null: none.
        shots: Solved examples in front of each of a task; null: as many as it says.
        limit: Examples of each task, the first ones; null: all.

    Raises:
        UserError: If a batch would be empty, or an option of tasks is given without them.
    """

    column: str = "text"
    tokenizer: Tokenizer | None = None
    batch_size: int = 32
    accelerator: str = "auto"
    tasks: str | None = None
    task_folder: str | None = None
    shots: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"--batch_size {self.batch_size} holds no window; use at least 1.")
        for name, least in (("task_folder", None), ("shots", 0), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and self.tasks is None:
                raise UserError(f"--{name} {value} is for tasks; name some with --tasks.")
            if value is not None and least is not None and value < least:
                raise UserError(f"--{name} {value} is too small; use at least {least}.")
        if self.task_folder is not None and not Path(self.task_folder).is_dir():
            raise UserError(f"--task_folder {self.task_folder} is no directory; check the path.")


def run(words: list[str], prog: str) -> None:
    """Runs `evaluate CHECKPOINT FILE... [--OPTION VALUE ...]`, or with `--tasks` for files.

    Args:
        words: What follows `evaluate` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or a checkpoint or file is missing.
        ValueError: If the checkpoint is of no language model, or a file cannot be read.
    """
    named, rest = leading(words)
    parser = VerbParser(prog=f"{prog} evaluate", description=DESCRIPTION)
    parser.add_class_arguments(EvaluateOptions)
    values = parser.instantiate_classes(parser.parse(rest))
    options = EvaluateOptions(**{f.name: values[f.name] for f in fields(EvaluateOptions)})
    if not named or (len(named) == 1 and options.tasks is None):
        raise UserError("evaluate needs a checkpoint and files, as in `evaluate best.ckpt a.txt`.")
    if options.tasks is not None:
        _measure(named, options, options.tasks)
        return
    files = [ScoredFile(path, options.column) for path in _files(named[1:])]
    model = TextModel(named[0], options.tokenizer)
    device = fabric_on(options.accelerator).device
    scores = {str(file.path): score(model, file, options.batch_size, device) for file in files}
    if len(scores) > 1:
        scores["all"] = sum(scores.values(), Score(0, 0, 0.0))
    print(table(f"Texts as {named[0]} predicts them", _rows(scores)))


def _files(names: Sequence[str]) -> list[Path]:
    """Returns the files, each of which must exist and be named once."""
    files: dict[Path, Path] = {}
    for name in names:
        path = existing_file(name, "evaluate: file")
        if path.resolve() in files:
            raise UserError(f"evaluate: file {name} is named twice, and counts once; drop one.")
        files[path.resolve()] = path
    return [*files.values()]


def _measure(named: Sequence[str], options: EvaluateOptions, tasks: str) -> None:
    """Measures a checkpoint on tasks, and prints a table."""
    if len(named) > 1:
        raise UserError(f"evaluate measures either files or tasks; drop {named[1]}, or --tasks.")
    require_harness()
    folder = None if options.task_folder is None else Path(options.task_folder)
    found = measure(
        TextModel(named[0], options.tokenizer),
        [name for name in tasks.split(",") if name],
        folder,
        options.shots,
        options.limit,
        options.batch_size,
        fabric_on(options.accelerator).device,
    )
    rows = [["task", "metric", "value", "standard error"]]
    for one in found:
        error = "" if one.error is None else f"{one.error:.2g}"
        rows.append([one.task, one.metric, f"{one.value:.5g}", error])
    print(table(f"Tasks as {named[0]} solves them", rows))


def _rows(scores: dict[str, Score]) -> list[list[str]]:
    first = next(iter(scores.values()))
    rows = [["file", "tokens", "bytes", *first.metrics]]
    for name, each in scores.items():
        numbers = (f"{value:.5g}" for value in each.metrics.values())
        rows.append([name, f"{each.tokens:,}", f"{each.bytes:,}", *numbers])
    return rows
