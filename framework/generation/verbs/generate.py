"""Continues texts with a language model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from framework.console.devices import fabric_on
from framework.console.errors import UserError
from framework.console.outputs import require_new
from framework.console.parsing import VerbParser
from framework.data.texts import read_prompts
from framework.data.tokens.tokenizer import Tokenizer
from framework.evaluation.generation import Sampling
from framework.generation.model import TOGETHER, Continuation, TextModel

DESCRIPTION = (
    "Continues texts with a language model. A prompt is the beginning of a document; of one that "
    "is longer than the model's window the last tokens are read. A text ends with the document, "
    "or after --length tokens; beyond the window the older half of it is forgotten."
)


@dataclass(frozen=True)
class GenerateOptions:
    """Options of generate, besides those of sampling.

    Args:
        prompt: Text to continue; "" begins a document.
        prompts: File of prompts: one a line, or JSON lines (.jsonl), objects with a "prompt" each.
        samples: Continuations of each prompt.
        output: File to write, a line of JSON for each continuation; null: print them.
        tokenizer: The tokenizer of a model whose checkpoint holds none, as imported ones; null:
            that of the checkpoint.
        batch_size: Texts that are written at once; they do not depend on it.
        accelerator: Device, as of the trainer.

    Raises:
        UserError: If prompts are missing or named twice, or there is nothing to write.
    """

    prompt: str | None = None
    prompts: str | None = None
    samples: int = 1
    output: str | None = None
    tokenizer: Tokenizer | None = None
    batch_size: int = TOGETHER
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.prompts is None):
            problem = "no text to continue" if self.prompt is None else "a prompt and a file"
            raise UserError(
                f"generate got {problem}; give either --prompt TEXT or --prompts FILE."
            )
        for name in ("samples", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} {getattr(self, name)} writes nothing; use at least 1.")
        if self.output is not None:
            require_new(Path(self.output))

    def read(self) -> list[str]:
        """Returns the prompts.

        Raises:
            UserError: If the prompt is no text.
            ValueError: If the file cannot be read.
        """
        if self.prompts is not None:
            return read_prompts(self.prompts, "--prompts")
        assert self.prompt is not None
        try:
            self.prompt.encode()
        except UnicodeEncodeError:  # bytes from a terminal of another encoding
            return [self._decoded(self.prompt)]
        return [self.prompt]

    def _decoded(self, prompt: str) -> str:
        try:
            return os.fsencode(prompt).decode()
        except UnicodeError as error:
            raise UserError(
                f"--prompt {prompt!a} is not UTF-8 text; write it to a file and name that "
                "with --prompts."
            ) from error


def run(words: list[str], prog: str) -> None:
    """Runs `generate CHECKPOINT --prompt TEXT [--OPTION VALUE ...]`.

    Args:
        words: What follows `generate` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong or missing.
        ValueError: If the checkpoint is of no language model, or the prompts cannot be read.
    """
    checkpoint, options, sampling = parse(words, prog)
    prompts = options.read()
    model = TextModel(checkpoint, options.tokenizer)
    device = fabric_on(options.accelerator).device
    _warn(model, prompts)
    if len(prompts) == options.samples == 1 and options.output is None:
        pieces = model.stream(prompts[0], sampling, device)
        print(prompts[0] + next(pieces), end="", flush=True)  # nothing where it cannot write
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
        return
    texts = model.write(prompts, sampling, options.samples, options.batch_size, device)
    if options.output is None:
        _print(texts, options.samples)
        return
    target = Path(options.output)
    with target.open("x", encoding="utf-8") as file:
        try:
            _write(texts, file)
        except BaseException:
            if not file.tell():  # what was written is kept
                target.unlink()
            raise
    print(f"Texts: {target}")


def parse(words: list[str], prog: str) -> tuple[Path, GenerateOptions, Sampling]:
    """Parses what follows `generate`.

    Args:
        words: The words.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong or missing.
        ValueError: If sampling has no such option.
    """
    parser = VerbParser(prog=f"{prog} generate", description=DESCRIPTION)
    parser.add_argument("checkpoint", type=Path, help="A checkpoint of a language model.")
    # As plain text: an optional one could not be "null".
    parser.add_argument("--prompt", type=str, help='Text to continue; "" begins a document.')
    parser.add_class_arguments(GenerateOptions, skip={"prompt"})
    parser.add_class_arguments(Sampling)
    values = parser.instantiate_classes(parser.parse(words))
    options = GenerateOptions(**{f.name: values[f.name] for f in fields(GenerateOptions)})
    sampling = Sampling(**{f.name: values[f.name] for f in fields(Sampling)})
    if options.samples > 1 and sampling.temperature == 0:
        raise UserError(
            f"--temperature 0 always takes the most likely token, so that --samples "
            f"{options.samples} would all be equal; drop one of the two."
        )
    return values.checkpoint, options, sampling


def _warn(model: TextModel, prompts: list[str]) -> None:
    """Says on stderr which prompts are not read as a whole."""
    lengths = [len(tokens) - 1 for tokens in model.encode(prompts)]
    long = [k for k, length in enumerate(lengths) if length > model.context]
    if long:
        more = f" (and {len(long) - 1} more)" if len(long) > 1 else ""
        print(
            f"Prompt {long[0] + 1}{more} has {lengths[long[0]]} tokens, more than the window of "
            f"the model; its last {model.context} are read.",
            file=sys.stderr,
        )


def _print(texts: Iterable[Continuation], samples: int) -> None:
    for text in texts:
        number = f" (sample {text.sample})" if samples > 1 else ""
        print(f"── {text.tokens} tokens{number}\n{text.prompt}{text.text}", flush=True)


def _write(texts: Iterable[Continuation], file: IO[str]) -> None:
    """Writes a line for each text as soon as it is there."""
    for text in texts:
        file.write(json.dumps(text._asdict(), ensure_ascii=False) + "\n")
        file.flush()
