"""Statistics of contexts, computed at once in float64."""

import torch

from framework.papers.token_encoding import Contexts, Readout, Statistics


def draw(size=300, dim=8, contexts=400, bias=False, seed=0):
    """A random read-out, whose logits differ by some nats, and vectors in float64."""
    generator = torch.Generator().manual_seed(seed)
    weight = 0.4 * torch.randn(size, dim, generator=generator)
    constant = torch.randn(size, generator=generator) if bias else None
    hidden = 1 + torch.randn(contexts, dim, generator=generator, dtype=torch.float64)
    return Readout(weight, constant), hidden


def log_probs(own, hidden):
    """Log P(w|x) `[N, V]`."""
    logits = hidden @ own.weight.double().T
    return (logits if own.bias is None else logits + own.bias.double()).log_softmax(-1)


def measure(own, hidden, counts=None):
    """What `gather` would find of a model that reads these vectors."""
    said = log_probs(own, hidden)
    logits = hidden @ own.weight.double().T
    log_z = (logits if own.bias is None else logits + own.bias.double()).logsumexp(-1)
    size = len(own.weight)
    return Statistics(
        positions=len(hidden),
        alpha=said.exp().mean(0),
        log_z=log_z.mean().item(),
        log_z_variance=log_z.var(correction=0).item(),
        mean=hidden.mean(0),
        covariance=torch.cov(hidden.T, correction=0),
        counts=torch.arange(size) if counts is None else counts,
        contexts=Contexts(hidden.float(), torch.zeros(len(hidden), dtype=torch.int64)),
        fingerprint=own.fingerprint(),
        provenance={"checkpoint": "drawn"},
    )
