"""What parts return: calls and checks, as broadcasting would hide what does not fit."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributions import Categorical, Distribution

from components.data import Batch
from components.distributions.categorical import Discrete
from components.interfaces import Backbone, Embedded, Head, Stem
from components.supports import Support, Tokens


def hidden_states(stem: Stem, backbone: Backbone, batch: Batch, *more: Any) -> Tensor:
    """Computes what a head reads, `[B, T, D]`.

    Args:
        stem: Embeds the batch.
        backbone: Reads what is embedded.
        batch: The batch.
        more: What the backbone reads beside it.

    Raises:
        ValueError: If the stem embeds in another width than the backbone reads, or the backbone
            returns another one than it says.
    """
    embedded = stem(batch)
    name, reader = type(stem).__name__, type(backbone).__name__
    if not isinstance(embedded, Embedded):
        raise ValueError(f"{name} returned a {type(embedded).__name__}; return an Embedded.")
    if embedded.states.ndim != 3 or embedded.states.shape[-1] != backbone.input_dim:
        raise ValueError(
            f"{name} returned states of shape {[*embedded.states.shape]}, where {reader} reads "
            f"[batch, positions, {backbone.input_dim}]; make them as wide as the argument dim."
        )
    hidden = backbone(embedded, *more)
    if not isinstance(hidden, Tensor):
        raise ValueError(f"{reader} returned a {type(hidden).__name__}; return a tensor.")
    if hidden.ndim != 3 or hidden.shape[-1] != backbone.dim:
        raise ValueError(
            f"{reader} returned hidden states of shape {[*hidden.shape]}, and its dim is "
            f"{backbone.dim}; return [batch, positions, dim]."
        )
    return stem.readout(hidden)


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
