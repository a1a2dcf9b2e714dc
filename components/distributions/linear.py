"""LinearCategorical: a categorical whose logits are computed when something reads all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from torch import Tensor

from components.distributions.categorical import Categorical, Discrete


class LinearCategorical(Categorical):
    """A categorical with linear logits of hidden states, for large numbers of outcomes.

    The log-probability of one outcome for each state is computed chunk by chunk; no tensor
    `[..., K]` is held. Whatever else is read makes one, as `Categorical` does.

    Args:
        hidden: Hidden states `[..., D]`.
        readout: Maps hidden states to logits `[..., K]`; called with outcomes `[...]` beside them,
            to their negative log-likelihoods `[...]`.
        size: Number K of outcomes.
    """

    rows = ("_hidden",)

    def __init__(self, hidden: Tensor, readout: Callable[..., Tensor], size: int) -> None:
        self._hidden, self._readout, self.size = hidden, readout, size
        Discrete.__init__(self, hidden.shape[:-1], validate_args=False)

    @cached_property
    def _logits(self) -> Tensor:  # type: ignore[override]  # computed when it is read
        return self._readout(self._hidden)

    def _log_prob(self, index: Tensor) -> Tensor:
        """In float32 or better."""
        if index.shape != self.batch_shape:
            return super()._log_prob(index)
        return -self._readout(self._hidden, index)
