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
            returns other than a hidden state of its width for each position.
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
    expected = (*embedded.states.shape[:2], backbone.dim)
    if hidden.shape != expected:
        raise ValueError(
            f"{reader} returned hidden states of shape {[*hidden.shape]}, where those of its "
            f"input are {[*expected]}; return [batch, positions, dim]."
        )
    return stem.readout(hidden)


def predicted(head: Head, hidden: Tensor, support: Support) -> Distribution:
    """Predicts from hidden states `[B, T, D]`: batch shape `[B, T]`.

    Args:
        head: The head.
        hidden: The hidden states.
        support: What can happen.

    Raises:
        ValueError: If the head does not predict at each position, or not what can happen.
    """
    found: object = head(hidden)
    name = type(head).__name__
    if not isinstance(found, Distribution):
        raise ValueError(
            f"{name} returned a {type(found).__name__}; return a distribution, as those of "
            "torch.distributions."
        )
    positions, event = hidden.shape[:-1], support.shape
    if found.batch_shape != positions or found.event_shape != event:
        raise ValueError(
            f"{name} returned a distribution with batch_shape {[*found.batch_shape]} and "
            f"event_shape {[*found.event_shape]}, where {[*positions]} and {[*event]} are due; "
            "predict at each position, from its hidden state."
        )
    size = _outcomes(found)
    if isinstance(support, Tokens) and size is not None and size != support.size:
        raise ValueError(
            f"{name} returned a distribution over {size} outcomes, where the data have "
            f"{support.size}; predict support.size of them."
        )
    return found


def _outcomes(found: Distribution) -> int | None:
    """Returns the number of outcomes of a categorical, None of other distributions."""
    if isinstance(found, Categorical):
        return int(found.param_shape[-1])
    return found.size if isinstance(found, Discrete) else None
