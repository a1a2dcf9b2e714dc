"""Effects of an edit: exact ones in closed form, warnings, and those of the written model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from framework.analysis.sample import Sample
from framework.modules.base import PredictiveModule
from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.editing.directions import GAINS, Known
from framework.papers.token_encoding.editing.rules import EditRequest, Rule
from framework.papers.token_encoding.editing.shifts import Shifted
from framework.papers.token_encoding.readout import Readout, readout, states

CHUNK = 1 << 24  # logits that are held at once
LONG = 4.0  # lengths of a row that a change should not exceed
ROUNDED = 0.05  # share of a shift that rounding may take away or add


class Effect(NamedTuple):
    """Effects of an edit on some contexts; divergences and losses in nats per context."""

    scale: Tensor  # [W], of the averaged probabilities of the tokens
    kl: float  # KL(P‖P'), of the distribution P before and the distribution P' after
    js: float  # Jensen-Shannon divergence
    nll: float  # increase of the mean loss of the observed tokens
    others: float  # mean factor of the probability of any other token
    largest: float  # the largest factor of an averaged probability, as a ratio of at least 1
    token: int  # whose that is

    def error(self, request: EditRequest) -> float:
        """Returns the mean absolute error over tokens of the log of the scale."""
        return float((self.scale / request.scale).log().abs().mean())


def measure(
    own: Readout, contexts: Contexts, request: EditRequest, chosen: Sequence[Rule]
) -> list[Effect]:
    """Computes what edits do on contexts, exactly.

    Args:
        own: The read-out before.
        contexts: Of it; other ones than those that rules were made with, to see what holds there.
        request: What was requested.
        chosen: The edits, each on its own.
    """
    log_probs = contexts.log_probs(own, request.tokens)
    came = contexts.target[:, None] == request.tokens
    shifted = [Shifted(log_probs, rule.shift(contexts.hidden)) for rule in chosen]
    nothing = torch.zeros(len(contexts), dtype=torch.float64)
    factors = torch.stack([nothing, *(edit.log_others for edit in shifted)], 1)
    alphas = averages(own, contexts, factors)  # [V, 1 + R]
    changes = (alphas[:, 1:] / alphas[:, :1]).nan_to_num(1.0)
    changes[request.tokens] = 1.0
    return [
        Effect(
            edit.log_scale().exp(),
            float(edit.kl()),
            float(edit.js()),
            float(edit.nll(came)),
            float(edit.log_others.exp().mean()),
            *_largest(change),
        )
        for edit, change in zip(shifted, changes.T, strict=True)
    ]


def _largest(change: Tensor) -> tuple[float, int]:
    """Returns the factor that is farthest from 1, and whose it is."""
    token = int(change.log().abs().argmax())
    return float(change[token]), token


def averages(own: Readout, contexts: Contexts, log_factors: Tensor) -> Tensor:
    """Returns the mean over contexts of P(v|x) times some factors, of all tokens.

    Args:
        own: The read-out before the edits, V tokens.
        contexts: N of them.
        log_factors: Logs of what each of R edits does to tokens other than its own, `[N, R]`.

    Returns:
        `[V, R]` float64: the averaged probabilities after each edit, of tokens that it leaves.
    """
    size = len(own.weight)
    total = torch.zeros(size, log_factors.shape[1], dtype=torch.float64)
    step = max(1, CHUNK // size)
    parts = torch.split(contexts.hidden, step), torch.split(log_factors, step)
    for hidden, log_factor in zip(*parts, strict=True):
        probability = own.logits(hidden).softmax(-1)
        total += (probability.T @ log_factor.exp().float()).double()
    return total / len(contexts)


def warnings(
    rule: Rule, known: Known, own: Readout, contexts: Contexts, request: EditRequest
) -> Iterator[str]:
    """Yields warnings about an edit, a sentence each.

    Args:
        rule: The edit.
        known: What its direction was computed from.
        own: The read-out before.
        contexts: In which logits are shifted.
        request: Whose rows change.
    """
    gain = rule.per_nat.gain(known.mean)
    if not GAINS[0] <= gain <= GAINS[1]:
        yield (
            f"{rule.name} has a gain of {gain:.3f}: of each nat that it promises it shifts logits "
            f"by so much on average; {'whiten' if rule.name != 'whiten' else 'bias'} delivers it."
        )
    rows = own.weight[request.tokens].double()
    change = rule.amount[:, None] * rule.per_nat.row
    lengths = change.norm(dim=1) / rows.norm(dim=1)
    for name, length in zip(request.names, lengths.tolist(), strict=True):
        if length > LONG:
            yield (
                f"{rule} changes the row of {name} by {length:.1f} times its length, so that "
                "contexts unlike those of the fit may see another shift."
            )
    lost = _rounding(rows + change, known.dtype)
    level = _rounding(_bias(own, request.tokens) + rule.amount * rule.per_nat.bias, known.dtype)
    moved = contexts.hidden.double() @ lost.T + level
    shares = moved.square().mean(0).sqrt() / rule.amount.abs()
    for name, share in zip(request.names, shares.tolist(), strict=True):
        if share > ROUNDED:
            yield (
                f"{known.dtype} cannot hold what {rule} makes of {name}: rounding moves its logit "
                f"by {share:.0%} of the shift; edit a float32 checkpoint."
            )


def measured(
    before: PredictiveModule, after: PredictiveModule, sample: Sample, request: EditRequest
) -> tuple[Tensor, Tensor]:
    """Measures averaged probabilities of edited tokens in a forward pass of the edited model.

    Args:
        before: The model before.
        after: The model as it was loaded from the edited checkpoint.
        sample: What both read.
        request: Which tokens.

    Returns:
        Logs of averaged probabilities after the edit, `[W]` float64: of the forward pass, and in
        closed form of the rows that differ.
    """
    old, new = readout(before).cpu(), readout(after).cpu()
    row = new.weight[request.tokens].double() - old.weight[request.tokens].double()
    constant = _bias(new, request.tokens) - _bias(old, request.tokens)
    forward, closed, positions = torch.zeros_like(constant), torch.zeros_like(constant), 0
    for _, batch in sample:
        counted = batch.weight > 0
        with torch.no_grad(), torch.autocast(counted.device.type, enabled=False):
            distribution = after(batch)
            own = [
                distribution.log_prob(torch.full_like(batch.target, w))
                for w in request.tokens.tolist()
            ]
            hidden = states(before, batch)[counted].float().cpu()
        forward += torch.stack([x[counted].double().exp().sum() for x in own]).cpu()
        contexts = Contexts(hidden, batch.target[counted].cpu())
        shift = hidden.double() @ row.T + constant
        closed += Shifted(contexts.log_probs(old, request.tokens), shift).log_moved.exp().sum(0)
        positions += len(hidden)
    return (forward / positions).log(), (closed / positions).log()


def _rounding(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns what is added to numbers when they are stored."""
    return values.to(dtype).double() - values


def _bias(own: Readout, tokens: Tensor) -> Tensor:
    if own.bias is None:
        return torch.zeros(len(tokens), dtype=torch.float64)
    return own.bias[tokens].double()
