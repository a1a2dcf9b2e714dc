"""A trained model, frozen, whose keys and values are the past of one that is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from components.data import Batch
from components.interfaces import Backbone, Cache, Stem
from framework.checkpoints import compare, load_parameters, read
from framework.modules.recipe import unbuilt


class FrozenReference:
    """Reads batches with the stem and the backbone of a checkpoint, without gradients.

    No module: what it holds is in no state dict, no optimizer and no shard of the module that
    keeps it. Every process holds all of it.

    Args:
        path: A checkpoint of ours, a file or a folder of shards.
        stem: Stem of the model that is trained, of the same architecture.
        backbone: Its backbone, which tells where and in which type to compute.

    Raises:
        ValueError: If the checkpoint cannot be used, is of another architecture, or its model is
            given a past itself.

    Source: Wu et al., "Do Language Models Plan Ahead for Future Tokens?" (arXiv:2404.00859): the
    model that is trained is their local myopic one.
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
        return cache.frozen()


def _rebuilt(path: Path) -> Any:
    """Builds the module of a checkpoint again, with its parameters."""
    options = read(path).get("hyper_parameters", {})
    if options.get("reference") is not None:
        raise ValueError(
            f"reference={str(path)!r} sees the past of another model itself; use the "
            "checkpoint of an ordinary one."
        )
    model = unbuilt(f"reference={str(path)!r}", options)
    model.configure_model()
    model.load_state_dict(load_parameters(path))
    return model
