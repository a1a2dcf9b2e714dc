"""PretrainedEmbedding: the token embedding of a pretrained language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from framework.pretrained.directory import language_model
from framework.pretrained.tuning import leave_out_frozen


class PretrainedEmbedding(nn.Embedding):
    """The token embedding of a pretrained language model, for the stem before its blocks.

    If the model ties embedding and output matrix, both are separate here: see `PretrainedHead`.

    Args:
        size: Number of tokens in the data; the model may have more.
        dim: Width of a vector.
        path: Directory written by `save_pretrained` of transformers, or the name of a model on the
            hub.
        frozen: Whether the vectors are not trained; checkpoints then do not hold them.

    Raises:
        ValueError: If there is no such model, or it has fewer tokens or another width.
    """

    def __init__(self, size: int, dim: int, path: str, frozen: bool = True) -> None:
        model: Any = language_model("PretrainedEmbedding", path, depth=0)
        table = model.get_input_embeddings()
        with torch.no_grad():
            vectors = table(torch.arange(table.num_embeddings))  # some models scale them
        known, width = vectors.shape
        if size > known or dim != width:
            raise ValueError(
                f"PretrainedEmbedding: path={path!r} has {known} tokens of width {width}, the "
                f"data have {size} tokens and the backbone width {dim}; give tokenizer, stem and "
                "backbone the same path."
            )
        super().__init__(known, width, _weight=vectors, _freeze=frozen)
        leave_out_frozen(self)
