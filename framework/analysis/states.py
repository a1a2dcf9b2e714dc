"""Hidden states of each layer: the residual stream before and after each block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from components.data import Batch
from framework.modules.base import PredictiveModule


@torch.no_grad()
def hidden_states(module: PredictiveModule, batch: Batch) -> list[Tensor]:
    """Reads the stream at the positions that predict, in front of the blocks and after each.

    Args:
        module: The model, built.
        batch: What it reads.

    Returns:
        States `[B, T, D]` of each layer: layer 0 is the embedding, layer k what block k leaves.

    Raises:
        ValueError: If the backbone has no blocks, or they do not pass one stream along.
    """
    name, blocks = type(module.backbone).__name__, list(module.backbone.blocks)
    if not blocks:
        raise ValueError(f"{name} has no blocks, after which states could be read.")
    with ExitStack() as hooks:
        embedded = hooks.enter_context(_kept(module.stem))
        final = hooks.enter_context(_kept(module.backbone))
        first = hooks.enter_context(_read(blocks[0]))
        streams = [first, *(hooks.enter_context(_kept(block)) for block in blocks)]
        module(batch)
    size = final[0].shape[1]
    context = embedded[0].context
    length = size if context is None else size + context.shape[1]
    layers = []
    for seen in streams:
        if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].shape[1] != length:
            raise ValueError(
                f"The blocks of {name} do not pass one stream of {length} states along, so that "
                "there are no states of each layer; choose a Decoder."
            )
        layers.append(module.stem.readout(seen[0][:, -size:]))
    return layers


@contextmanager
def _kept(part: nn.Module) -> Iterator[list[Any]]:
    """Lists what a part returns."""
    outputs: list[Any] = []
    handle = part.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


@contextmanager
def _read(part: nn.Module) -> Iterator[list[Any]]:
    """Lists what a part is given first."""
    given: list[Any] = []
    handle = part.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    try:
        yield given
    finally:
        handle.remove()
