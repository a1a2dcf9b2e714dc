"""Checks of what parts return, of which broadcasting would hide that it does not fit."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributions import Categorical, Distribution

from components.data import Batch
from components.distributions.categorical import Discrete
from components.interfaces import Backbone, Embedded, Head, Stem
from components.supports import Support, Tokens


def require_embedded(stem: Stem, found: Any, backbone: Backbone) -> None:
    """Checks that a stem embeds a batch as wide as the backbone reads it.

    Raises:
        ValueError: If it does not.
    """
    name = type(stem).__name__
    if not isinstance(found, Embedded):
        raise ValueError(f"{name} returned a {type(found).__name__}; return an Embedded.")
    if found.states.ndim != 3 or found.states.shape[-1] != backbone.input_dim:
        raise ValueError(
            f"{name} returned states of shape {[*found.states.shape]}, where "
            f"{type(backbone).__name__} reads [batch, positions, {backbone.input_dim}]; make them "
            "as wide as the argument dim."
        )


def require_hidden(backbone: Backbone, found: Any) -> None:
    """Checks that hidden states are as wide as a backbone says.

    Raises:
        ValueError: If they are not.
    """
    name = type(backbone).__name__
    if not isinstance(found, Tensor):
        raise ValueError(f"{name} returned a {type(found).__name__}; return a tensor.")
    if found.ndim != 3 or found.shape[-1] != backbone.dim:
        raise ValueError(
            f"{name} returned hidden states of shape {[*found.shape]}, and its dim is "
            f"{backbone.dim}; return [batch, positions, dim]."
        )


def require_predictions(head: Head, found: Any, batch: Batch, support: Support) -> None:
    """Checks that a head predicts each target of a batch, and among what can happen.

    Args:
        head: The head.
        found: What it returned.
        batch: Targets `[B, T, *event]` and weights `[B, T]`.
        support: What can happen.

    Raises:
        ValueError: If it does not.
    """
    name = type(head).__name__
    if not isinstance(found, Distribution):
        raise ValueError(
            f"{name} returned a {type(found).__name__}; return a distribution, as those of "
            "torch.distributions."
        )
    positions, event = batch.weight.shape, batch.target.shape[batch.weight.ndim :]
    if found.batch_shape != positions or found.event_shape != event:
        raise ValueError(
            f"{name} returned a distribution with batch_shape {[*found.batch_shape]} and "
            f"event_shape {[*found.event_shape]}, where targets have {[*positions]} and "
            f"{[*event]}; predict at each position, from its hidden state."
        )
    size = _outcomes(found)
    if isinstance(support, Tokens) and size is not None and size != support.size:
        raise ValueError(
            f"{name} returned a distribution over {size} outcomes, where the data have "
            f"{support.size}; predict support.size of them."
        )


def _outcomes(prediction: Distribution) -> int | None:
    """Returns the number of outcomes of a categorical, None of other distributions."""
    if isinstance(prediction, Categorical):
        return int(prediction.param_shape[-1])
    return prediction.size if isinstance(prediction, Discrete) else None
