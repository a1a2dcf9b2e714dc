"""A linear map whose first predictions are chosen, not random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

GAIN = 0.01  # of the weights: enough to tell inputs apart, too little to move the distribution


class PresetLinear(nn.Linear):
    """Starts close to given outputs: the bias is preset, the weights are small.

    Heads whose outputs are parameters of a distribution begin with it at a distribution that makes
    sense.

    Args:
        dim: Number of inputs.
        outputs: What to start at, one value per output.
    """

    def __init__(self, dim: int, outputs: Sequence[float]) -> None:
        self.outputs = tuple(outputs)  # before the parameters: making them calls reset_parameters
        super().__init__(dim, len(outputs))

    def reset_parameters(self) -> None:
        """Shrinks the usual weights and presets the bias."""
        super().reset_parameters()
        with torch.no_grad():
            self.weight.mul_(GAIN)
            self.bias.copy_(self.bias.new_tensor(self.outputs))
