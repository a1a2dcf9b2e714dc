"""The fused optimizer, a step of decoding as a CUDA graph, and draws of tokens on a device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.cuda.checks import Disagreement, Place, per_second, require_close
from components import Decoder, FanLayer, LinearHead, TokenStem
from components.data import TokenSpec
from components.interfaces import Cache
from components.supports import Tokens
from framework.evaluation.generation import Sampling, generate, unlabeled
from framework.optimization import fuse

UPDATES = 5
CHOICES = 64


class Language(nn.Module):
    """A FANformer that reads and predicts tokens.

    Args:
        dim: Width of the hidden states.
        depth: Number of blocks.
        heads: Number of attention heads.
        size: Number of tokens.
        length: Most positions.
    """

    def __init__(self, dim: int, depth: int, heads: int, size: int, length: int) -> None:
        super().__init__()
        self.stem = TokenStem(dim=dim, spec=TokenSpec(Tokens(size), length))
        projection = partial(FanLayer, activation=nn.Identity)
        self.backbone = Decoder(dim, depth, heads, projection=projection)
        self.head = LinearHead(dim, Tokens(size))

    def forward(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Returns the logits `[B, V]` that follow tokens `[B, T]`."""
        hidden = self.stem.readout(self.backbone(self.stem(unlabeled(tokens)), cache))
        logits: Tensor = self.head(hidden[:, -1]).logits
        return logits


def fused_adamw(place: Place) -> str:
    """Holds the update of `fuse` against AdamW parameter by parameter, and times both."""
    dim, count = place.size((1024, 96), (8, 3))
    first = [nn.Parameter(torch.randn(dim, dim, device=place.device)) for _ in range(count)]
    second = [nn.Parameter(each.detach().clone()) for each in first]
    fused = torch.optim.AdamW(first, lr=1e-2, weight_decay=0.1)
    fuse(fused)
    if not fused.param_groups[0]["fused"]:
        raise Disagreement(f"fuse left AdamW on {place.device} as it was")
    plain = torch.optim.AdamW(second, lr=1e-2, weight_decay=0.1, foreach=False, fused=False)
    for _ in range(UPDATES):
        for one, other in zip(first, second, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        fused.step()
        plain.step()
    pairs = zip(first, second, strict=True)
    away = max(require_close("parameter", one, other, 1e-5) for one, other in pairs)
    mine, theirs = place.medians(fused.step, plain.step)
    return f"distance {away:.1g} after {UPDATES} steps; time over one by one {mine / theirs:.3g}"


@torch.no_grad()
def decoding_graph(place: Place) -> str:
    """Captures one step of decoding, replays it with other tokens, and times it.

    The caches count positions in Python, so that a graph is of one length: it writes and reads
    what it did when it was captured.
    """
    model, size = _language(place)
    batch, known = place.size((8, 512), (2, 5))
    cache = model.backbone.new_cache(batch, known + 1)
    model(torch.randint(size, (batch, known), device=place.device), cache)
    token = torch.randint(size, (batch, 1), device=place.device)

    def step() -> Tensor:
        _rewind(cache, known)
        return model(token, cache)

    (plain,) = place.medians(step)
    said = "a graph serves one length, because the caches count positions in Python"
    try:
        replay = _captured(place, step)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return f"a step cannot be captured ({reason}); plain step {plain * 1e3:.3g} ms; {said}"
    away = 0.0
    for _ in range(3):
        token.copy_(torch.randint_like(token, size))
        replayed = replay().clone()
        away = max(away, require_close("logits", replayed, step(), 1e-4))
    (graph,) = place.medians(replay)
    return f"distance {away:.1g}; plain {plain * 1e3:.3g} ms, graph {graph * 1e3:.3g} ms; {said}"


def _captured(place: Place, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Returns a replay of a step; on a CPU, which has no graphs, the step."""
    if place.device != "cuda":
        return step
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # the first runs allocate what graphs must not
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = step()

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay


def _rewind(cache: Cache, length: int) -> None:
    cache.length = length
    for layer in cache.layers:
        layer.length = length


def _language(place: Place) -> tuple[Language, int]:
    size = place.size(50_304, 40)
    shape = place.size((1024, 16, 16), (16, 1, 2))
    return Language(*shape, size=size, length=4096).to(place.device).eval(), size


@torch.no_grad()
def sampling(place: Place) -> str:
    """Holds greedy texts, seeds and the frequencies of draws against the CPU; times generation."""
    model = Language(32, 2, 2, CHOICES, 64).double().eval()
    prompt = torch.randint(CHOICES, (4, 8))
    there = copy.deepcopy(model).to(place.device)

    def text(each: Language, tokens: Tensor, chosen: Sampling) -> Tensor:
        return generate(each.stem, each.backbone, each.head, tokens, chosen)

    greedy = Sampling(length=place.size(32, 4), temperature=0.0)
    mine = text(there, prompt.to(place.device), greedy).cpu()
    if not torch.equal(text(model, prompt, greedy), mine):
        raise Disagreement("greedy texts differ from those of the CPU")
    seeded = Sampling(length=place.size(32, 4), temperature=0.8, top_k=20, top_p=0.9, seed=3)
    twice = [text(there, prompt.to(place.device), seeded) for _ in range(2)]
    if not torch.equal(*twice):
        raise Disagreement("one seed gives two texts")
    away = max(_draws(place, options) for options in ({}, {"top_k": 10}, {"top_p": 0.8}))
    return f"greedy and seeded texts hold, frequencies {away:.2g} away; {_speed(place)}"


def _draws(place: Place, options: dict[str, float]) -> float:
    """Returns the total variation between draws and probabilities."""
    chosen, draws = Sampling(**options), place.size(50_000, 4000)  # type: ignore[arg-type]
    logits = 2 * torch.randn(CHOICES)
    uniform = torch.rand(draws, dtype=torch.float64)
    rows = logits.expand(draws, -1)
    drawn = chosen.choose(rows.to(place.device), uniform.to(place.device)).cpu()
    other = (drawn != chosen.choose(rows, uniform)).double().mean().item()
    if other > 1e-4:
        raise Disagreement(f"{options}: {other:.2g} of the draws differ from those of the CPU")
    frequencies = torch.bincount(drawn, minlength=CHOICES) / draws
    away = 0.5 * (frequencies - chosen.distribution(logits)).abs().sum().item()
    if away > (CHOICES / draws) ** 0.5:  # 2.5 times what chance gives
        raise Disagreement(f"{options}: frequencies are {away:.2g} away from probabilities")
    return away


def _speed(place: Place) -> str:
    model, size = _language(place)
    batch, chosen = place.size(16, 1), Sampling(length=place.size(64, 2), top_k=50)
    prompt = torch.randint(size, (batch, 16), device=place.device)

    def run() -> Tensor:
        with torch.autocast(place.device, torch.bfloat16):
            return generate(model.stem, model.backbone, model.head, prompt, chosen)

    (seconds,) = place.medians(run, rounds=3)
    return f"{per_second(batch * chosen.length, seconds)} tokens of {batch} texts in bf16"
