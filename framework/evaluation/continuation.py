"""Continues prompts of different lengths together, each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from components.interfaces import Backbone, Cache, Embedded, Head, Stem
from framework.evaluation.generation import Sampling, precise_dtype, unlabeled
from framework.evaluation.speculation import Lookup


def draws(prompts: Sequence[Sequence[int]], samples: Sequence[int], sampling: Sampling) -> Tensor:
    """Draws the randomness of each continuation, from its seed, its prompt and its number alone.

    A prompt so gets the same texts in every batch; equal prompts get equal texts.

    Args:
        prompts: Tokens of each, B prompts.
        samples: Number of the continuation of each prompt, 0 for the first, `[B]`.
        sampling: Its length and its seed.

    Returns:
        Numbers in [0, 1), float64 `[B, sampling.length]` on the CPU.
    """
    rows = [
        np.random.default_rng([sampling.seed % 2**64, sample, *prompt]).random(sampling.length)
        for prompt, sample in zip(prompts, samples, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))


def continuations(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    prompts: Sequence[Tensor],
    sampling: Sampling,
    uniform: Tensor,
    context: int,
    size: int | None = None,
    source: Embedded | None = None,
    guesses: bool = False,
) -> Iterator[Tensor]:
    """Yields the next token of every prompt, `sampling.length` times.

    Each takes one forward pass, or less with `guesses`: they are verified along with the next
    token, and kept where they would be chosen. Shorter prompts are padded on the left, which a
    mask hides, and positions are counted without padding, so that a row does not depend on the
    others. At most `context` tokens are read: the last ones of a longer prompt. A row that grows
    beyond them forgets its older half.

    Args:
        stem: Embeds tokens position by position.
        backbone: Reads them; earlier positions stay in its cache.
        head: Predicts the next token; its distribution has `logits`.
        prompts: Tokens to continue, int64 `[P]` each, B of them, none empty.
        sampling: How tokens are chosen, and how many.
        uniform: Randomness of the choices, in [0, 1), `[B, sampling.length]`; see `draws`.
        context: Tokens that the model reads at most, at least 1.
        size: Tokens that can be chosen, the first ones; all if not given.
        source: Whose context all tokens of a row read, with its mask; none if not given.
        guesses: Whether to guess how a single prompt goes on, where the most likely tokens are
            chosen. Processes that share a model must not: their passes would differ in number.

    Yields:
        Tokens, int64 `[B]`.
    """
    rows = [prompt[-context:] for prompt in prompts]
    uniform = uniform.to(rows[0].device, precise_dtype(rows[0].device))
    read, mask, cache = _aligned(rows, backbone, context, sampling.length)
    new: list[Tensor] = []
    verified: list[Tensor] = []  # the next tokens; all but the last are in the cache
    guessed = guesses and sampling.temperature == 0 and len(rows) == 1 and cache.drops
    lookup = Lookup() if guessed else None

    @torch.no_grad()
    def choose(tokens: Tensor, positions: int, step: int) -> Tensor:
        """Reads tokens `[B, S]` and chooses what follows each of the last positions."""
        embedded = stem(unlabeled(tokens))  # what grows in a cache is one document
        embedded = embedded._replace(mask=mask, documents=None)
        if source is not None and cache.length == 0:
            seen = source.context_mask
            embedded = embedded._replace(context=source.context, context_mask=seen)
        hidden = stem.readout(backbone(embedded, cache))
        logits = head(hidden[:, -positions:]).logits.float()
        if size is not None:
            logits[..., size:] = -torch.inf
        return sampling.choose(logits, uniform[:, step : step + 1])

    for step in range(sampling.length):
        if not verified:
            guess = read[:, :0]
            if lookup is not None:
                known = torch.cat((rows[0], *new)).tolist()
                room = min(sampling.length - step - 1, cache.capacity - len(known))
                guess = torch.tensor([lookup.guess(known, room)]).to(read)
            chosen = choose(torch.cat((read, guess), 1), 1 + guess.shape[1], step)
            if lookup is not None:
                cache.drop(lookup.learn(guess, chosen))
                chosen = chosen[:, : cache.length - len(known) + 1]
            verified = list(chosen.unbind(1))
        token = verified.pop(0)
        yield token
        new.append(token)
        read, mask = token.unsqueeze(1), None
        if max(map(len, rows)) + len(new) > context:  # no room to read it
            added = torch.stack(new, 1)
            grown = [torch.cat(pair) for pair in zip(rows, added, strict=True)]
            rows = [row if len(row) <= context else row[-max(1, context // 2) :] for row in grown]
            left = sampling.length - step - 1
            (read, mask, cache), new = _aligned(rows, backbone, context, left), []


def _aligned(
    rows: Sequence[Tensor], backbone: Backbone, context: int, length: int
) -> tuple[Tensor, Tensor | None, Cache]:
    """Pads rows on the left to one length `[B, P]`, with a mask if there is padding, and a cache.

    The cache has room for `length` more tokens, but not for more than `context` in all.
    """
    longest = max(map(len, rows))
    cache = backbone.new_cache(len(rows), min(context, longest + length))
    tokens = pad_sequence(list(rows), batch_first=True, padding_side="left")
    if all(len(row) == longest for row in rows):
        return tokens, None, cache
    index = torch.arange(longest, device=tokens.device)
    lengths = torch.tensor([[len(row)] for row in rows], device=tokens.device)
    return tokens, index >= longest - lengths, cache
