"""Readout: the linear map at the end of a model, and the vectors that it reads."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.func import functional_call

from components.data import Batch
from components.interfaces import Stem
from framework.modules.base import PredictiveModule


@dataclass(frozen=True, eq=False)
class Readout:
    """The output embedding of a model as it was when it was read, in float32, on its device.

    The logit of token w in context x is `weight[w] · h_x + bias[w]`.

    Args:
        weight: `[V, D]`, a row for each token.
        bias: `[V]`; None for none.
    """

    weight: Tensor
    bias: Tensor | None

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns logits `[..., V]` of vectors `[..., D]` in float32, also under autocast."""
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.nn.functional.linear(hidden.float(), self.weight, self.bias)

    def cpu(self) -> Readout:
        """Returns the same on the CPU."""
        return Readout(self.weight.cpu(), None if self.bias is None else self.bias.cpu())

    def fingerprint(self) -> str:
        """Identifies the numbers of the map by a hash."""
        digest = hashlib.sha256()
        for tensor in (self.weight, self.bias):
            if tensor is not None:
                digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def readout(module: PredictiveModule) -> Readout:
    """Copies the output embedding of a model; all processes must call this if it is sharded.

    Args:
        module: The model, built.

    Raises:
        ValueError: If its head has none.
    """
    _, weight, bias = module.head.output_embedding()
    return Readout(whole(weight), None if bias is None else whole(bias))


def embedding(stem: Stem) -> Tensor | None:
    """Copies the vectors that tokens are looked up in, `[V, D]`, if there are any."""
    with suppress(ValueError):
        return whole(stem.lookup().weight)
    return None


@torch.no_grad()
def states(module: PredictiveModule, batch: Batch) -> Tensor:
    """Computes what the output embedding reads where a batch is predicted, `[B, T, D]`.

    That is the vector behind the last norm of the backbone and whatever the head puts in front of
    its linear map; logits are not computed. Of a sharded model, all processes must call this.

    Args:
        module: The model, built.
        batch: What it reads.

    Raises:
        ValueError: If the head has no output embedding.
    """
    hidden = module.stem.readout(module.backbone(module.stem(batch)))
    features = module.head.output_embedding().features
    # A part of the projection, called alone, is not gathered by what shards the projection.
    gathered = {name: _gathered(value) for name, value in features.named_parameters()}
    read: Tensor = functional_call(features, gathered, (hidden,))
    return read


def whole(tensor: Tensor) -> Tensor:
    """Copies a parameter in float32; of a sharded one, all processes must call this together."""
    return _gathered(tensor).detach().to(torch.float32, copy=True)


def _gathered(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
