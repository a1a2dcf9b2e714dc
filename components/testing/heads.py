"""Laws of heads: shapes, total probability, precision, parameters, construction on any device."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions import Histogram, Mixed
from components.distributions.inversion import bisect
from components.interfaces import Head, HeadFactory
from components.supports import Bins, Interval, Support, Tokens
from components.testing.distributions import MISSED, nodes_and_weights

DIM = 8  # width of the hidden states
FAR = 60.0  # beyond which there is no mass at initial weights, in units of the outcome
INEXACT = 1e-4  # of integrals of densities that jump where the law does not know


def predicts_one_distribution_per_position(factory: HeadFactory, support: Support) -> None:
    """Batch and event shapes are those of the hidden states and of the support."""
    head = _built(factory, support)
    prediction = head(torch.randn(2, 3, DIM))
    assert isinstance(prediction, Distribution), f"{type(prediction).__name__} is returned"
    assert prediction.batch_shape == (2, 3)
    assert prediction.event_shape == support.shape
    assert head.support is support
    assert prediction.log_prob(outcomes(support, 2, 3)).shape == (2, 3)
    assert prediction.sample((4,)).shape == (4, 2, 3, *support.shape)
    assert prediction.mean.shape == (2, 3, *support.shape)


def total_probability_is_one(factory: HeadFactory, support: Support) -> None:
    """Tokens sum to one; a density has all its mass within 60 units of zero, and integrates to it.

    Atoms count with their masses. Values beyond which `cdf` leaves nothing belong to no integral.
    """
    prediction = _built(factory, support).double()(torch.randn(3, DIM, dtype=torch.float64))
    if isinstance(support, Tokens):
        every = torch.arange(support.size).unsqueeze(-1).expand(-1, 3)
        total = prediction.log_prob(every).exp().sum(0)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)
        return
    each = prediction.base_dist if isinstance(prediction, Independent) else prediction
    ends = torch.tensor([-FAR, FAR], dtype=torch.float64)
    total = each.cdf(ends[1]) - each.cdf(ends[0])
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)
    integral = _integral(each)
    torch.testing.assert_close(integral, torch.ones_like(integral), rtol=0, atol=INEXACT)


def distributions_are_float32_under_autocast(factory: HeadFactory, support: Support) -> None:
    """Log-probabilities are finite and in float32 under bfloat16 autocast."""
    head, target = _built(factory, support), outcomes(support, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        nats = head(torch.randn(2, 3, DIM)).log_prob(target)
    assert nats.dtype == torch.float32, f"log_prob is {nats.dtype}; compute it in float32"
    assert nats.isfinite().all()


def computes_in_float64_where_asked(factory: HeadFactory, support: Support) -> None:
    """A head in float64 gives log-probabilities in float64."""
    hidden = torch.randn(2, 3, DIM, dtype=torch.float64)
    nats = _built(factory, support).double()(hidden).log_prob(outcomes(support, 2, 3))
    assert nats.dtype == torch.float64


def projection_holds_all_parameters(factory: HeadFactory, support: Support) -> None:
    """So that fully sharded training can gather them; the gradient reaches each."""
    head = _built(factory, support)
    inside = {*map(id, head.projection.parameters()), *map(id, head.projection.buffers())}
    for label, each in (*head.named_parameters(), *head.named_buffers()):
        assert id(each) in inside, f"{label} is not in `projection`"
        assert each.ndim > 0, f"{label} is a scalar, which FSDP2 refuses; give it shape [1]"
    nats = head(torch.randn(16, 3, DIM)).log_prob(outcomes(support, 16, 3))
    if nats.requires_grad:
        nats.sum().backward()
    certain = isinstance(support, Tokens) and support.size == 1
    for label, parameter in head.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {label}"
        assert parameter.grad.isfinite().all(), f"the gradient of {label} is not finite"
        assert certain or parameter.grad.abs().sum() > 0, f"the gradient of {label} is zero"


def projection_maps_tensors_to_tensors(factory: HeadFactory, support: Support) -> None:
    """`projection` returns a tensor, which hooks of fully sharded training need."""
    assert isinstance(_built(factory, support).projection(torch.randn(2, 3, DIM)), Tensor)


def is_initialized_by_its_modules(factory: HeadFactory, support: Support) -> None:
    """Built on the meta device and reset, it is bit for bit what it would have been."""
    built = _built(factory, support)
    with torch.device("meta"):
        late = factory(dim=DIM, support=support)
    late.to_empty(device="cpu")
    torch.manual_seed(0)
    for module in late.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    assert built.state_dict().keys() == late.state_dict().keys()
    for label, ours in built.state_dict().items():
        theirs = late.state_dict()[label]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, msg=label)
    hidden, target = torch.randn(2, 3, DIM), outcomes(support, 2, 3)
    torch.testing.assert_close(built(hidden).log_prob(target), late(hidden).log_prob(target))


def trains_after_validation(factory: HeadFactory, support: Support) -> None:
    """Tables that are kept between calls must not belong to a pass without gradients."""
    head, target = _built(factory, support), outcomes(support, 2, 3)
    hidden = torch.randn(2, 3, DIM, requires_grad=True)

    def value() -> Tensor:
        prediction = head(hidden)
        total: Tensor = prediction.log_prob(target).sum() + prediction.mean.sum()
        return total

    with torch.inference_mode():
        value()
    value().backward()  # type: ignore[no-untyped-call]  # torch's
    assert all(each.grad is not None for each in head.parameters())


def extreme_values_score_without_nan(factory: HeadFactory, support: Support) -> None:
    """Hidden states of 1e4 and outcomes far outside give no NaN and no infinite density."""
    target = outcomes(support, 16, 3)
    if not isinstance(support, Tokens):
        target = 100 * target
    nats = _built(factory, support)(1e4 * torch.randn(16, 3, DIM)).log_prob(target)
    assert not nats.isnan().any()
    assert not (nats == math.inf).any()


def what_cannot_be_gets_no_probability(factory: HeadFactory, support: Support) -> None:
    """Tokens beyond the vocabulary are an error, for few rows and many; NaN scores NaN."""
    head = _built(factory, support)
    for rows in (1, 40):
        prediction, target = head(torch.randn(rows, 3, DIM)), outcomes(support, rows, 3)
        if isinstance(support, Tokens):
            for wrong in (-100, -1, support.size):
                target[-1, 2] = wrong
                assert _refuses(prediction, target), f"token {wrong} of {support.size} is scored"
        else:
            target[-1, 2] = torch.nan
            missing = prediction.log_prob(target).isnan()
            assert missing.nonzero().tolist() == [[rows - 1, 2]], "NaN is scored as a value"


HEAD_LAWS = (
    predicts_one_distribution_per_position,
    total_probability_is_one,
    distributions_are_float32_under_autocast,
    computes_in_float64_where_asked,
    projection_holds_all_parameters,
    projection_maps_tensors_to_tensors,
    is_initialized_by_its_modules,
    trains_after_validation,
    extreme_values_score_without_nan,
    what_cannot_be_gets_no_probability,
)
"""Each takes a factory of heads, called with `dim` and `support`, and a support it serves."""


def outcomes(support: Support, *batch: int) -> Tensor:
    """Draws outcomes of a support evenly, `[*batch, *support.shape]`."""
    match support:
        case Tokens():
            return torch.randint(support.size, batch)
        case Interval():
            return support.low + (support.high - support.low) * torch.rand(*batch, *support.shape)
        case Bins():
            return outcomes(support.interval, *batch)
    raise ValueError(f"Outcomes of {support} cannot be drawn; test with Tokens, Interval or Bins.")


def _built(factory: HeadFactory, support: Support) -> Head:
    torch.manual_seed(0)
    return factory(dim=DIM, support=support)


@torch.no_grad()
def _integral(distribution: Distribution) -> Tensor:
    """Integrates from where `cdf` leaves 0 to where it reaches 1, and adds atoms, `[...]`."""
    shape = distribution.batch_shape
    ends = torch.full(shape, FAR, dtype=torch.float64)

    def beyond(values: Tensor, level: float) -> Tensor:
        return distribution.cdf(values) - level

    low = bisect(partial(beyond, level=MISSED), -ends, ends)
    high = bisect(partial(beyond, level=1 - MISSED), -ends, ends)
    edges = distribution.edges if isinstance(distribution, Histogram) else torch.empty(0)
    atoms = distribution.atoms if isinstance(distribution, Mixed) else torch.empty(0)
    corners = torch.cat((edges, atoms)).double()
    at, weights = nodes_and_weights(low.min(), high.max(), corners)

    def scored(values: Tensor) -> Tensor:
        column = values.view(-1, *(1,) * len(shape)).expand(-1, *shape)
        return distribution.log_prob(column).exp()

    density: Tensor = torch.tensordot(weights, scored(at), 1)
    return density + scored(atoms).sum(0)


def _refuses(prediction: Distribution, target: Tensor) -> bool:
    try:
        prediction.log_prob(target)
    except (ValueError, IndexError, RuntimeError):
        return True
    return False
