"""Continues texts token by token, with temperature, top-k and top-p, one cached step per token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from components.data import TokenBatch
from components.distributions.tensors import choose
from components.interfaces import Backbone, Head, Stem


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and how many.

    Args:
        length: Tokens to add to a prompt, at least 1.
        temperature: Logits are divided by it: below 1 is more cautious, above 1 more random, 0
            always takes the most likely token.
        top_k: Choose among this many of the most likely tokens; all of them if not given.
        top_p: Choose among the fewest most likely tokens whose probabilities reach this sum, in
            (0, 1]. Counted after temperature and `top_k`.
        seed: Seed of the choices.

    Raises:
        ValueError: If an option is out of its range.

    Source: top-k: Fan et al., "Hierarchical Neural Story Generation" (arXiv:1805.04833);
        top-p: Holtzman et al., "The Curious Case of Neural Text Degeneration" (arXiv:1904.09751).
    """

    length: int = 64
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"Sampling adds no token with length={self.length}; use at least 1.")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"Sampling cannot use temperature={self.temperature}; use a number of at least 0."
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(
                f"Sampling leaves no token with top_k={self.top_k}; use at least 1 or drop it."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"Sampling cannot use top_p={self.top_p}; use one in (0, 1].")

    def distribution(self, logits: Tensor) -> Tensor:
        """Computes from logits the probabilities with which tokens are drawn, both `[..., V]`."""
        if self.temperature == 0:
            best = logits.argmax(-1, keepdim=True)
            return torch.zeros_like(logits).scatter(-1, best, 1.0)
        probs, tokens = self._candidates(logits)
        return probs if tokens is None else torch.zeros_like(logits).scatter(-1, tokens, probs)

    def choose(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Draws tokens from `distribution(logits)`, by bisection of the summed probabilities.

        Candidates are summed in the order of their numbers, so that equal randomness chooses the
        same token, however the candidates were found.

        Args:
            logits: `[..., V]`.
            uniform: Randomness of each choice, in [0, 1), `[...]`; the sums are of its type.

        Returns:
            Tokens, int64 `[...]`.

        Raises:
            ValueError: On a CPU, if logits are NaN or infinite, so that nothing has a probability.
        """
        if self.temperature == 0:
            best = logits.argmax(-1, keepdim=True)  # at NaN, where there is one
            _require_finite(logits.gather(-1, best))
            return best.squeeze(-1)
        probs, tokens = self._candidates(logits)
        sums = probs.cumsum(-1, dtype=uniform.dtype)
        _require_finite(sums[..., -1])
        place = choose(sums, uniform.unsqueeze(-1))
        return (place if tokens is None else tokens.gather(-1, place)).squeeze(-1)

    def _candidates(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the probabilities of some tokens and their ascending numbers, None for all."""
        size = logits.shape[-1]
        some = self.top_k is not None and self.top_k < size
        if not some and self.top_p == 1:
            return (logits / self.temperature).softmax(-1), None
        best, tokens = logits.topk(self.top_k if some and self.top_k else size)
        probs = (best / self.temperature).softmax(-1)
        if self.top_p < 1:
            before = probs.cumsum(-1) - probs  # of more likely tokens; the first always stays
            probs = torch.where(before < self.top_p, probs, 0.0)
            probs = probs / probs.sum(-1, keepdim=True)
        if not some:
            return torch.empty_like(probs).scatter(-1, tokens, probs), None
        tokens, order = tokens.sort(-1)
        return probs.gather(-1, order), tokens


def _require_finite(values: Tensor) -> None:
    """Refuses what logits that are NaN or infinite lead to, on a CPU; others would wait for it."""
    if values.device.type == "cpu" and not values.isfinite().all():
        raise ValueError(
            "The model gives no probabilities to choose a token by: some of its logits are NaN or "
            "infinite; use a checkpoint from before its training diverged."
        )


torch.serialization.add_safe_globals([Sampling])
SAMPLING = Sampling()
"""64 tokens, drawn as predicted."""


def generate(
    stem: Stem,
    backbone: Backbone,
    head: Head,
    prompt: Tensor,
    sampling: Sampling,
    generator: torch.Generator | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Continues prompts. All ranks make `sampling.length` forward passes, whatever they generate.

    Args:
        stem: Embeds tokens position by position.
        backbone: Reads them; earlier positions stay in its cache.
        head: Predicts the next token; its distribution has `logits`.
        prompt: Tokens to continue, `[B, P]`, P at least 1.
        sampling: How tokens are chosen, and how many.
        generator: Source of randomness, on the device of `prompt`; one seeded by `sampling.seed`
            if not given.
        mask: False where prompts are padded on the left, `[B, P]`; nothing is padded if not given.

    Returns:
        The new tokens, `[B, sampling.length]` int64.
    """
    if generator is None:
        generator = torch.Generator(prompt.device).manual_seed(sampling.seed)
    (size, length), precise = prompt.shape, precise_dtype(prompt.device)
    cache = backbone.new_cache(size, length + sampling.length)
    new, tokens = prompt, []
    for _ in range(sampling.length):
        read = stem(unlabeled(new))._replace(documents=None)  # what grows is one document
        if new is prompt:
            read = read._replace(mask=mask)
        hidden = stem.readout(backbone(read, cache))
        logits = head(hidden[:, -1]).logits.float()
        uniform = torch.rand(size, generator=generator, device=prompt.device, dtype=precise)
        new = sampling.choose(logits, uniform).unsqueeze(1)
        tokens.append(new)
    return torch.cat(tokens, dim=1)


def precise_dtype(device: torch.device) -> torch.dtype:
    """Returns the type in which probabilities are summed: float64, where a device has it."""
    return torch.float32 if device.type == "mps" else torch.float64  # Apple's have no float64


def unlabeled(tokens: Tensor) -> TokenBatch:
    """Makes a batch of tokens without targets."""
    weight = torch.zeros(tokens.shape, device=tokens.device)
    return TokenBatch(tokens=tokens, target=torch.zeros_like(tokens), weight=weight)


def aligned_prompts(batch: TokenBatch) -> tuple[Tensor, Tensor]:
    """Cuts texts before the first target, and shifts them so that all end at the last position.

    Args:
        batch: Texts whose positions of positive weight are contiguous up to the end, B rows.

    Returns:
        Tokens `[B, P]`, 0 on padding, and a mask that is False there.
    """
    lengths = prompt_lengths(batch.weight)
    longest = int(lengths.max())
    index = torch.arange(longest, device=lengths.device) - (longest - lengths).unsqueeze(1)
    mask = index >= 0
    return batch.tokens.gather(1, index.clamp_min(0)) * mask, mask


def prompt_lengths(weight: Tensor) -> Tensor:
    """Counts the tokens before the first that is predicted, for each row of weights `[B, T]`."""
    return (weight.cumsum(1) == 0).sum(1) + 1
