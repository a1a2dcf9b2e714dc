"""A read-out whose dimensions count unequally, its statistics, and contexts of other text."""

import torch

from framework.papers.token_encoding import Contexts, Readout, Statistics

SIZE, DIM, COUNT = 80, 12, 500  # tokens, width, contexts


def uneven(seed: int = 0, bias: bool = False) -> tuple[Readout, Statistics, Contexts]:
    """Draws a read-out of rows and states of uneven scale that do not have the mean 0."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    mix = draw(DIM, DIM) * torch.logspace(0, -1.2, DIM)
    scale = torch.linspace(0.2, 1.2, DIM)[torch.randperm(DIM, generator=generator)]
    weight = draw(SIZE, DIM) * scale + draw(DIM)
    own = Readout(weight, draw(SIZE) if bias else None)
    mean = draw(DIM)
    fit, other = (Contexts(mean + 0.7 * draw(COUNT, DIM) @ mix, _tokens(draw)) for _ in range(2))
    return own, statistics(own, fit), other


def statistics(own: Readout, contexts: Contexts) -> Statistics:
    """Computes statistics of contexts, all at once."""
    logits, hidden = own.logits(contexts.hidden).double(), contexts.hidden.double()
    log_z = logits.logsumexp(1)
    return Statistics(
        positions=len(contexts),
        alpha=(logits - log_z[:, None]).exp().mean(0),
        log_z=float(log_z.mean()),
        log_z_variance=float(log_z.var(correction=0)),
        nll=float((log_z - logits.gather(1, contexts.target[:, None])[:, 0]).mean()),
        mean=hidden.mean(0),
        covariance=torch.cov(hidden.T, correction=0),
        counts=torch.bincount(contexts.target, minlength=len(own.weight)),
        contexts=contexts,
        fingerprint=own.fingerprint(),
    )


def _tokens(draw):
    return (draw(COUNT).abs() * 20).long().clamp_max(SIZE - 1)
