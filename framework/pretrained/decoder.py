"""PretrainedDecoder: the blocks of a pretrained causal language model as a backbone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from framework.pretrained.directory import language_model, library
from framework.pretrained.tuning import Full, TuningFactory, leave_out_frozen


class PretrainedDecoder(Backbone):
    """The blocks of a causal language model of transformers, without embedding and output matrix.

    The last norm is included. Checkpoints hold only the parameters that are trained; the others
    are read from the directory again when a checkpoint is loaded.

    Args:
        path: Directory written by `save_pretrained` of transformers, or the name of a model on the
            hub.
        depth: How many of the first blocks to keep; all if not given.
        tuning: Which parameters are trained.
        dtype: Type of the parameters; that of the run if not given. In "bfloat16" a frozen model
            takes half the memory.

    Raises:
        ValueError: If transformers is missing, there is no such model, or it is not a causal
            language model.
    """

    def __init__(
        self,
        path: str,
        depth: int | None = None,
        tuning: TuningFactory = Full,
        dtype: Literal["float32", "bfloat16"] | None = None,
    ) -> None:
        super().__init__()
        kind = None if dtype is None else getattr(torch, dtype)
        whole: Any = language_model("PretrainedDecoder", path, depth, kind)
        self.model = whole.base_model
        self.dim = self.model.get_input_embeddings().embedding_dim
        self.model.set_input_embeddings(nn.Identity())  # the stem embeds
        tuning().apply(self.model)
        leave_out_frozen(self)

    @property
    def blocks(self) -> nn.ModuleList:  # type: ignore[override]  # a second name, not in the state dict
        """The blocks of the model."""
        return _blocks(self.model)

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes an empty cache for `length` positions."""
        past = library("PretrainedDecoder").DynamicCache(config=self.model.config)
        return PretrainedCache(past, batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]` of the states; see `Backbone.forward`.

        Raises:
            ValueError: If there is a context: these models read a single sequence.
        """
        states, mask = inputs.states, inputs.mask
        if inputs.context is not None:
            raise ValueError(
                "PretrainedDecoder reads one sequence and cannot see the context of "
                f"{inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        past = None
        if isinstance(cache, PretrainedCache):
            past, mask = cache.past, cache.grow(states, mask)
        positions = None  # in padded rows the first token that counts is at 0
        if mask is not None:
            positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -states.shape[1] :]
        hidden: Tensor = self.model(
            inputs_embeds=states.to(self.model.dtype),
            attention_mask=None if mask is None else mask.long(),
            position_ids=positions,
            past_key_values=past,
            use_cache=past is not None,
        ).last_hidden_state
        return hidden.to(states.dtype)


class PretrainedCache(Cache):
    """Past keys and values of a pretrained model, as transformers stores them.

    Args:
        past: Keys and values.
        batch_size: Number of examples.
        length: Capacity in positions.
    """

    drops = False  # of a window, transformers keeps no more positions than it needs

    def __init__(self, past: Any, batch_size: int, length: int) -> None:
        super().__init__(0, batch_size, length)
        self.past = past

    def repeat(self, samples: int) -> Cache:
        """Copies the cache, each example `samples` times in a row."""
        past = deepcopy(self.past)
        past.batch_repeat_interleave(samples)
        cache = PretrainedCache(past, self.batch_size * samples, self.capacity)
        cache.length = self.length
        cache.mask = None if self.mask is None else self.mask.repeat_interleave(samples, 0)
        return cache


def _blocks(model: Any) -> nn.ModuleList:
    """Finds the list of blocks, which has another name in each architecture."""
    lists = (part for part in model.children() if isinstance(part, nn.ModuleList))
    found = [blocks for blocks in lists if len(blocks) == model.config.num_hidden_layers]
    if not found:
        raise ValueError(
            f"PretrainedDecoder: no list of {model.config.num_hidden_layers} blocks was found in "
            f"{type(model).__name__}; choose a decoder such as Llama, Qwen, Mistral or GPT-2."
        )
    return found[0]
