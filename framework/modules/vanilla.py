"""Vanilla: a trained model, frozen, whose keys and values are the past of one that is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from components.data import Batch
from components.interfaces import Backbone, Cache, Stem
from framework.checkpoints import compare, read
from framework.modules.recipe import unbuilt
from framework.stored import stored

Past = Callable[[Batch], Cache | None]
"""What else the backbone needs to read a batch: keys and values of another model, or nothing."""


def unasked(batch: Batch) -> None:
    """Gives nothing: each position sees what the model itself made of those before it."""


def past(path: str | None, stem: Stem, backbone: Backbone) -> Past:
    """Returns what gives the past to attention that sees one of another model.

    Args:
        path: Checkpoint of that model, if there is one.
        stem: Stem of the model that is trained.
        backbone: Its backbone.

    Raises:
        ValueError: If there is a path and no attention that would use it, or the other way round,
            or if the checkpoint is of no use.
    """
    if path is None and backbone.given_past:
        raise ValueError(
            "GivenPast sees keys and values of another model, but vanilla=null names none; give "
            "--model.vanilla the checkpoint of one of the same architecture."
        )
    if path is None:
        return unasked
    if not backbone.given_past:
        raise ValueError(
            f"vanilla={path!r} gives a past that no attention of {type(backbone).__name__} would "
            "see; choose Decoder with attention GivenPast, or drop vanilla."
        )
    return Vanilla(path, stem, backbone)


class Vanilla:
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
        compare(f"vanilla={path!r}, stem", stem.state_dict(), self.stem.state_dict())
        compare(f"vanilla={path!r}, backbone", backbone.state_dict(), self.backbone.state_dict())

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
    if options.get("vanilla") is not None:
        raise ValueError(
            f"vanilla={str(path)!r} sees the past of another model itself; use the checkpoint of "
            "an ordinary one."
        )
    model = unbuilt(f"vanilla={str(path)!r}", options)
    model.configure_model()
    model.load_state_dict(stored(path))
    return model
