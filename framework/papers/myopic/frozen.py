"""A frozen model, whose keys and values are the past of a model that is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from components.data import Batch
from components.interfaces import Backbone, Cache, Stem
from components.layers.myopic.past import frozen
from framework.checkpoints import compare, load_parameters, read
from framework.modules.construction import build_module


class FrozenReference:
    """Reads batches with the stem and the backbone of a checkpoint, without gradients.

    It is not an `nn.Module`, so that its parameters are in no state dict, optimizer or shard of
    the module that owns it. Every process holds all of them.

    Args:
        path: A checkpoint of Overtone, a file or a folder of shards.
        stem: Stem of the model that is trained, of the same architecture.
        backbone: Backbone of that model; its device and type are used.

    Raises:
        ValueError: If the checkpoint cannot be used, is of another architecture, or its model has
            a reference of its own.

    Source: Wu et al., "Do Language Models Plan Ahead for Future Tokens?" (arXiv:2404.00859),
        definition 4.
    """

    def __init__(self, path: str, stem: Stem, backbone: Backbone) -> None:
        model = _rebuilt(Path(path).expanduser())
        self.reader: Backbone = backbone
        self.stem: Stem = model.stem.eval().requires_grad_(False)
        self.backbone: Backbone = model.backbone.eval().requires_grad_(False)
        compare(f"reference={path!r}, stem", stem.state_dict(), self.stem.state_dict())
        compare(f"reference={path!r}, backbone", backbone.state_dict(), self.backbone.state_dict())

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Cache:
        """Returns a cache with the keys and values `[B, G, S, E]` of all positions of a batch."""
        like = next(self.reader.parameters())
        self.stem.to(like.device, like.dtype)
        self.backbone.to(like.device, like.dtype)
        inputs = self.stem(batch)
        size, length, _ = inputs.states.shape
        context = 0 if inputs.context is None else inputs.context.shape[1]
        cache = self.backbone.new_cache(size, context + length)
        self.backbone(inputs, cache)
        return frozen(cache)


def _rebuilt(path: Path) -> Any:
    """Rebuilds the module of a checkpoint, with its parameters."""
    options = read(path).get("hyper_parameters", {})
    if options.get("reference") is not None:
        raise ValueError(
            f"reference={str(path)!r} attends to the past of another model itself; use the "
            "checkpoint of an ordinary model."
        )
    model = build_module(f"reference={str(path)!r}", options)
    model.configure_model()
    model.load_state_dict(load_parameters(path))
    return model
