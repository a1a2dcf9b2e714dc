"""Laws of losses: one finite value per position, a gradient, and weights that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.interfaces import Loss

Predict = Callable[[Tensor], Distribution]


class WeightedLoss(Protocol):
    """A class of losses, or a factory that passes the weight on."""

    def __call__(self, *, weight: float = 1.0) -> Loss:
        """Builds a loss."""
        ...


def gives_one_finite_value_per_position(
    loss: WeightedLoss, predict: Predict, raw: Tensor, target: Tensor
) -> None:
    """Values are `[B, T]` in float32, with a gradient that is finite and not zero."""
    raw = raw.detach().requires_grad_()
    prediction = predict(raw)
    value = loss()(prediction, target)
    assert value.shape == prediction.batch_shape, f"{tuple(value.shape)} is not one per position"
    assert value.dtype == torch.float32, f"values are {value.dtype}"
    assert value.isfinite().all()
    value.sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    assert raw.grad.abs().sum() > 1e-6, "the prediction gets no gradient"


def keeps_its_weight_and_does_not_apply_it(
    loss: WeightedLoss, predict: Predict, raw: Tensor, target: Tensor
) -> None:
    """The objective multiplies by `weight`, once; a negative one is refused."""
    heavy, light = loss(weight=3.0), loss()
    assert (heavy.weight, light.weight) == (3.0, 1.0)
    prediction = predict(raw)
    torch.testing.assert_close(heavy(prediction, target), light(prediction, target))
    assert _refuses(loss, -1.0), "a negative weight is accepted; call super().__init__(weight)"


def trains_after_validation(
    loss: WeightedLoss, predict: Predict, raw: Tensor, target: Tensor
) -> None:
    """Nothing that is kept between calls belongs to a pass without gradients."""
    raw = raw.detach().requires_grad_()
    with torch.inference_mode():
        loss()(predict(raw), target)
    loss()(predict(raw), target).sum().backward()
    assert raw.grad is not None
    assert raw.grad.abs().sum() > 0


LOSS_LAWS = (
    gives_one_finite_value_per_position,
    keeps_its_weight_and_does_not_apply_it,
    trains_after_validation,
)
"""Each takes a class of losses, what turns raw parameters into a prediction with batch shape
`[B, T]`, raw parameters, and a target."""


def _refuses(loss: WeightedLoss, weight: float) -> bool:
    try:
        loss(weight=weight)
    except ValueError:
        return True
    return False
