"""Harness: what lm-eval-harness asks of a language model, answered by one of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from components.data import TokenBatch
from framework.evaluation.generation import Sampling
from framework.generation.model import TextModel
from framework.generation.streaming import TextStream

WRITTEN = ("until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p")
Scored = tuple[Any, list[int], list[int]]  # what is asked, tokens before, tokens to score


class Harness:
    """Scores and writes texts for the tasks of lm-eval, as its own class for transformers does.

    It is a base of a class whose other base is `lm_eval.api.model.TemplateLM`, as the package may
    be missing.

    Texts are encoded as the published tokenizer does: behind a token that begins a text where it
    puts one there, without where it does not, and with special tokens where a text spells them.
    Where nothing precedes what is scored, the token that begins a document does.

    Args:
        model: The model.
        batch_size: Texts in a batch; numbers depend on it by rounding at most.
        device: Where to compute; the CPU if not given.

    Source: Gao et al., "The Language Model Evaluation Harness" (zenodo.12608602).
    """

    def __init__(
        self, model: TextModel, batch_size: int = 8, device: torch.device | None = None
    ) -> None:
        super().__init__()
        self.model, self.batch_size = model, batch_size
        self.where = device or torch.device("cpu")
        self.max_length = model.context

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document."""
        return self.model.vocabulary.end

    @property
    def prefix_token_id(self) -> int:
        """The token that begins a document."""
        return self.model.vocabulary.begin

    @property
    def tokenizer_name(self) -> str:
        """Identifies the tokenizer in the cache of requests."""
        return self.model.vocabulary.digest()

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """Encodes a text.

        Args:
            string: The text.
            add_special_tokens: False for what goes on with another text; None or true for a whole
                one.
        """
        vocabulary = self.model.vocabulary
        [bare] = vocabulary.encode_as_published([string], around=False)
        begun = bare[:1] == [vocabulary.begin]  # the text spells the token that begins one
        if add_special_tokens is False or (add_special_tokens is None and begun):
            return bare
        [whole] = vocabulary.encode_as_published([string])
        return whole

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Scores whole texts in windows, each token once, from as much text as fits before it."""
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

        windows: list[Scored] = []
        for index, request in enumerate(requests):
            tokens = self.tok_encode(request.args[0])
            rolling = get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1)
            windows += [(index, *make_disjoint_window(pair)) for pair in rolling]
        totals, scores = [0.0] * len(requests), self._loglikelihood_tokens(windows)
        for (index, *_), (nats, _) in zip(windows, scores, strict=True):
            totals[index] += nats
        return totals

    def _loglikelihood_tokens(
        self, requests: Sequence[Scored], **_: Any
    ) -> list[tuple[float, bool]]:
        """Returns the log-likelihood of tokens, and whether they are the most likely ones.

        Of what precedes them, the last tokens that the window of the model has room for are read.

        Raises:
            ValueError: If there is nothing to score, or it is longer than the window.
        """
        order = sorted(range(len(requests)), key=lambda k: -sum(map(len, requests[k][1:])))
        found: dict[int, tuple[float, bool]] = {}
        for start in range(0, len(order), self.batch_size):
            part = order[start : start + self.batch_size]
            rows = [self._row(*requests[k][1:]) for k in part]
            found |= dict(zip(part, self._scores(rows), strict=True))
        return [found[k] for k in range(len(requests))]

    def _row(self, before: list[int], scored: list[int]) -> tuple[list[int], int]:
        """Returns the tokens that are read and scored, and how many of them are scored."""
        if not 1 <= len(scored) <= self.max_length:
            raise ValueError(
                f"A task asks for the likelihood of {len(scored)} tokens at once, but the model "
                f"scores from 1 to {self.max_length}; choose another task."
            )
        return (before + scored)[-(self.max_length + 1) :], len(scored)

    @torch.no_grad()
    def _scores(self, rows: Sequence[tuple[list[int], int]]) -> Iterable[tuple[float, bool]]:
        """Scores the last tokens of each row, all rows at once."""
        module = self.model.checkpoint.module.to(self.where)
        longest = max(len(row) for row, _ in rows)
        padded = torch.tensor([row + [0] * (longest - len(row)) for row, _ in rows])
        tokens, target = padded[:, :-1].to(self.where), padded[:, 1:].to(self.where)
        prediction = module(TokenBatch(tokens, target, torch.ones(target.shape)))
        nats, likeliest = prediction.log_prob(target), prediction.mode == target
        for index, (row, count) in enumerate(rows):
            last = slice(len(row) - 1 - count, len(row) - 1)
            yield nats[index, last].double().sum().item(), bool(likeliest[index, last].all())

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Continues texts up to the first of some strings, or the end of the document."""
        from lm_eval.models.utils import normalize_gen_kwargs

        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(index)
        texts: dict[int, str] = {}
        for indices in groups.values():
            options = normalize_gen_kwargs(requests[indices[0]].args[1])
            for start in range(0, len(indices), self.batch_size):
                part = indices[start : start + self.batch_size]
                written = self._written([requests[k].args[0] for k in part], options)
                texts |= dict(zip(part, written, strict=True))
        return [texts[k] for k in range(len(requests))]

    def _written(self, prompts: Sequence[str], options: Mapping[str, Any]) -> list[str]:
        """Continues prompts, until each has one of the strings at which it ends.

        Raises:
            ValueError: If an option is unknown, or there is no room for the text.
        """
        sampling = self._sampling(options)
        room = self.max_length - sampling.length
        vocabulary, begin = self.model.vocabulary, [self.prefix_token_id]
        given = [self.tok_encode(prompt)[-room:] or begin for prompt in prompts]
        ends = [stop for stop in options["until"] if stop]
        streams = [TextStream(vocabulary.decode, runs=vocabulary.runs) for _ in given]
        texts, open_rows = [""] * len(prompts), set(range(len(prompts)))
        for row, token in self.model.tokens(given, [0] * len(given), sampling, self.where):
            texts[row] += streams[row].add(token)
            if any(stop in texts[row] for stop in ends):
                open_rows.discard(row)
            if not open_rows:
                break
        texts = [text + stream.finish() for text, stream in zip(texts, streams, strict=True)]
        return [_cut(text, ends) for text in texts]

    def _sampling(self, options: Mapping[str, Any]) -> Sampling:
        for name in options:
            if name not in WRITTEN:
                raise ValueError(
                    f"A task asks for texts with {name}: {options[name]}, which Overtone does not "
                    f"have; choose one with {', '.join(WRITTEN)}."
                )
        length = options["max_gen_toks"]
        if not 1 <= length < self.max_length:
            raise ValueError(
                f"A task asks for texts of max_gen_toks: {length} tokens, which leaves nothing of "
                f"the {self.max_length} that the model reads; choose another task."
            )
        return Sampling(
            length=length,
            temperature=options["temperature"] if options["do_sample"] else 0.0,
            top_k=options.get("top_k") or None,
            top_p=options.get("top_p") or 1.0,
        )


def _cut(text: str, ends: Sequence[str]) -> str:
    """Cuts a text before the first of some strings.

    Example:
        >>> _cut("a. b! c", ["!", "."])
        'a'
    """
    return text[: min((text.index(end) for end in ends if end in text), default=len(text))]
