"""Measures perplexity and bits per byte of files of text."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lightning.fabric import Fabric

from framework.console.checkpoint_options import HELP, leading
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.data.files import existing_file
from framework.data.tokens.tokenizer import Tokenizer
from framework.generation.model import TextModel
from framework.generation.scoring import Score, ScoredFile, score
from framework.tables import table

DESCRIPTION = (
    "Measures how well a language model predicts files of text: nats a token, perplexity, and "
    "bits a byte, which compare between tokenizers. `evaluate CHECKPOINT FILE...`, then options; "
    "a file is one document, or JSON lines (.jsonl, .json.gz) with one an object."
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

    Raises:
        UserError: If a batch would be empty.
    """

    column: str = "text"
    tokenizer: Tokenizer | None = None
    batch_size: int = 32
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"--batch_size {self.batch_size} holds no window; use at least 1.")


def run(words: list[str], prog: str) -> None:
    """Runs `evaluate CHECKPOINT FILE... [--OPTION VALUE ...]`.

    Args:
        words: What follows `evaluate` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or a checkpoint or file is missing.
        ValueError: If the checkpoint is of no language model, or a file cannot be read.
    """
    named, rest = leading(words)
    if len(named) < 2 and not HELP & set(rest):
        raise UserError("evaluate needs a checkpoint and files, as in `evaluate best.ckpt a.txt`.")
    parser = VerbParser(prog=f"{prog} evaluate", description=DESCRIPTION)
    parser.add_class_arguments(EvaluateOptions)
    values = parser.instantiate_classes(parser.parse(rest))
    options = EvaluateOptions(**{f.name: values[f.name] for f in fields(EvaluateOptions)})
    files = [
        ScoredFile(existing_file(name, "evaluate: file"), options.column) for name in named[1:]
    ]
    model = TextModel(named[0], options.tokenizer)
    device = Fabric(accelerator=options.accelerator, devices=1).device
    scores = {str(file.path): score(model, file, options.batch_size, device) for file in files}
    if len(scores) > 1:
        scores["all"] = sum(scores.values(), Score(0, 0, 0.0))
    print(table(f"Texts as {named[0]} predicts them", _rows(scores)))


def _rows(scores: dict[str, Score]) -> list[list[str]]:
    first = next(iter(scores.values()))
    rows = [["file", "tokens", "bytes", *first.metrics]]
    for name, each in scores.items():
        numbers = (f"{value:.5g}" for value in each.metrics.values())
        rows.append([name, f"{each.tokens:,}", f"{each.bytes:,}", *numbers])
    return rows
