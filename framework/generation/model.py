"""TextModel: the language model of a checkpoint with its vocabulary, which continues texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from components.data import TokenSpec
from components.layouts import lay_out_by_columns
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.data.tokens.text import TOKENIZER, beginnings
from framework.data.tokens.tokenizer import Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary, restore
from framework.evaluation.continuation import continuations, draws
from framework.evaluation.generation import SAMPLING, Sampling
from framework.generation.streaming import TextStream, text_after

TOGETHER = 16  # texts that are written at once by default


class Continuation(NamedTuple):
    """A text that a model wrote."""

    prompt: str
    text: str  # what follows the prompt
    sample: int  # number among the continuations of the prompt, from 0 on
    tokens: int  # number of tokens of `text`


class TextModel:
    """The language model of a checkpoint, and the vocabulary that it reads and writes.

    A prompt is the beginning of a document, and a continuation ends where the model ends the
    document. The parameters are read when they are first needed.

    Args:
        path: The checkpoint, a file or a folder of shards.
        tokenizer: The tokenizer of a model whose checkpoint holds none, as imported ones.

    Raises:
        ValueError: If the checkpoint cannot be read, is of no language model, or it is not known
            what its tokens mean.
    """

    def __init__(self, path: str | Path, tokenizer: Tokenizer | None = None) -> None:
        self.checkpoint = OpenedCheckpoint(Path(path))
        spec = self.checkpoint.contents.get("hyper_parameters", {}).get("spec")
        if not isinstance(spec, TokenSpec):
            kind = f"predicts {spec.support}" if hasattr(spec, "support") else "predicts no tokens"
            raise ValueError(
                f"The checkpoint {str(path)!r} is of no language model: it {kind}; choose one of "
                "a LanguageModel."
            )
        self.context = spec.length
        self.vocabulary = _vocabulary(self.checkpoint, tokenizer)
        if self.vocabulary.size > spec.support.size:
            raise ValueError(
                f"The tokenizer has {self.vocabulary.size} tokens, the model of {str(path)!r} "
                f"predicts {spec.support.size}; give the tokenizer that it was trained with."
            )

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Encodes prompts as the beginnings of documents, behind the token that begins one."""
        return beginnings(self.vocabulary, prompts)

    def write(
        self,
        prompts: Sequence[str],
        sampling: Sampling = SAMPLING,
        samples: int = 1,
        batch_size: int = TOGETHER,
        device: torch.device | None = None,
    ) -> Iterator[Continuation]:
        """Continues each prompt `samples` times, in their order.

        The texts do not depend on `batch_size`, nor on the other prompts.

        Args:
            prompts: Texts to continue; an empty one is the beginning of a document.
            sampling: How tokens are chosen, and how many at most.
            samples: Continuations of each prompt.
            batch_size: Texts that are written at once.
            device: Where to compute; the CPU if not given.

        Raises:
            ValueError: If `samples` or `batch_size` is not positive.
        """
        for name, value in (("samples", samples), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name}={value} writes nothing; use at least 1.")
        encoded = self.encode(prompts)
        wanted = [(k, sample) for k in range(len(prompts)) for sample in range(samples)]
        for start in range(0, len(wanted), batch_size):
            part = wanted[start : start + batch_size]
            tokens = [encoded[k] for k, _ in part]
            texts: list[list[int]] = [[] for _ in part]
            for row, token in self.tokens(
                tokens, [sample for _, sample in part], sampling, device
            ):
                texts[row].append(token)
            for (k, sample), prompt, written in zip(part, tokens, texts, strict=True):
                text = text_after(self.vocabulary.decode, prompt, written)
                yield Continuation(prompts[k], text, sample, len(written))

    def stream(
        self, prompt: str, sampling: Sampling = SAMPLING, device: torch.device | None = None
    ) -> Iterator[str]:
        """Yields the first continuation of a prompt in pieces, as soon as they are written.

        Args:
            prompt: The text to continue; an empty one is the beginning of a document.
            sampling: How tokens are chosen, and how many at most.
            device: Where to compute; the CPU if not given.
        """
        [tokens] = self.encode([prompt])
        stream = TextStream(self.vocabulary.decode, tokens, self.vocabulary.runs)
        for _, token in self.tokens([tokens], [0], sampling, device):
            yield stream.add(token)
        yield stream.finish()

    def tokens(
        self,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        sampling: Sampling,
        device: torch.device | None,
    ) -> Iterator[tuple[int, int]]:
        """Yields new tokens with the number of their prompt, until all documents have ended.

        Args:
            prompts: Tokens to continue, none of them empty.
            samples: Number of the continuation of each prompt, from 0 on.
            sampling: How tokens are chosen, and how many at most.
            device: Where to compute; the CPU if not given.
        """
        where = device or torch.device("cpu")
        module = self.checkpoint.module.to(where)
        lay_out_by_columns(module, len(prompts))
        rows = [torch.tensor(prompt, device=where) for prompt in prompts]
        uniform = draws(prompts, samples, sampling)
        parts = module.stem, module.backbone, module.head
        options = uniform, self.context, self.vocabulary.size
        open_rows = set(range(len(rows)))
        for new in continuations(*parts, rows, sampling, *options, guesses=True):
            for row, token in enumerate(new.tolist()):
                if token in self.vocabulary.ends:
                    open_rows.discard(row)
                elif row in open_rows:
                    yield row, token
            if not open_rows:
                return


def generate(
    checkpoint: str | Path,
    prompts: str | Sequence[str],
    sampling: Sampling = SAMPLING,
    samples: int = 1,
    tokenizer: Tokenizer | None = None,
    batch_size: int = TOGETHER,
    device: torch.device | None = None,
) -> list[Continuation]:
    """Continues prompts with the language model of a checkpoint.

    Args:
        checkpoint: A file, or a folder of shards.
        prompts: Texts to continue, each the beginning of a document; or one of them.
        sampling: How tokens are chosen, and how many at most.
        samples: Continuations of each prompt.
        tokenizer: The tokenizer of a model whose checkpoint holds none, as imported ones.
        batch_size: Texts that are written at once; they do not depend on it.
        device: Where to compute; the CPU if not given.

    Returns:
        The continuations of the first prompt, then those of the second, and so on.

    Raises:
        ValueError: If the checkpoint is of no language model with known tokens, or an option is
            out of its range.
    """
    model = TextModel(checkpoint, tokenizer)
    every = [prompts] if isinstance(prompts, str) else prompts
    return list(model.write(every, sampling, samples, batch_size, device))


def _vocabulary(checkpoint: OpenedCheckpoint, tokenizer: Tokenizer | None) -> Vocabulary:
    """Returns the vocabulary that a checkpoint holds, or that a tokenizer names.

    Raises:
        ValueError: If there is none, or they differ.
    """
    description = checkpoint.contents.get(TOKENIZER)
    stored = None if description is None else restore(description)
    named = None if tokenizer is None else tokenizer.known()
    if tokenizer is not None and named is None:
        raise ValueError(
            f"{type(tokenizer).__name__} is fitted to a text, and makes no vocabulary without it; "
            "give the FileTokenizer of a tokenizer.json."
        )
    if stored is None or isinstance(stored, Numerals):
        if named is None:
            held = "no tokenizer" if stored is None else "token ids without a tokenizer"
            raise ValueError(
                f"The checkpoint {str(checkpoint.path)!r} holds {held}, so that it is not known "
                "what its tokens mean as text; give the tokenizer it was trained with, "
                "as in --tokenizer FileTokenizer --tokenizer.path tokenizer.json."
            )
        if description is not None and description.get("digest", named.digest()) != named.digest():
            raise ValueError(
                f"{type(tokenizer).__name__}: this is not the tokenizer that the model of "
                f"{str(checkpoint.path)!r} was trained with; give that one."
            )
        return named
    if tokenizer is not None:
        tokenizer.require(stored)
    return stored
