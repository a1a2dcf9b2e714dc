"""PretrainedHead: the output layer of a pretrained language model."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution

from components.distributions import Categorical
from components.interfaces import Head, OutputEmbedding
from components.supports import Support, Tokens
from framework.pretrained.directory import language_model
from framework.pretrained.tuning import leave_out_frozen


class PretrainedHead(Head):
    """The output layer of a pretrained language model: the baseline of other heads.

    Args:
        dim: Width of the hidden states.
        support: The vocabulary of the data; the model may have more tokens.
        path: Directory written by `save_pretrained` of transformers, or the name of a model on the
            hub.
        frozen: Whether the matrix is not trained; checkpoints then do not hold it.

    Raises:
        ValueError: If there is no such model, the data are no tokens, or sizes do not fit.
    """

    def __init__(self, dim: int, support: Support, path: str, frozen: bool = True) -> None:
        super().__init__()
        if not isinstance(support, Tokens):
            raise ValueError(
                f"PretrainedHead predicts tokens, these data have a {type(support).__name__}; "
                "choose FourierHead, LinearHead or NormalHead."
            )
        model: Any = language_model("PretrainedHead", path, depth=0)
        readout = model.get_output_embeddings()
        known, width = readout.weight.shape
        if support.size > known or dim != width:
            raise ValueError(
                f"PretrainedHead: path={path!r} has {known} tokens of width {width}, the data "
                f"have {support.size} tokens and the backbone width {dim}; give tokenizer, stem, "
                "backbone and head the same path."
            )
        self.support, self.size = support, support.size
        self.projection = readout.requires_grad_(not frozen)
        leave_out_frozen(self)

    def output_embedding(self) -> OutputEmbedding:
        """Returns the rows of the tokens in the data; see `Head.output_embedding`."""
        readout: Any = self.projection
        bias = None if readout.bias is None else readout.bias[: self.size]
        return OutputEmbedding(nn.Sequential(), readout.weight[: self.size], bias)

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        return Categorical(self.projection(hidden)[..., : self.size])
