"""Attention with a constant past as the definition says: all scores written out."""

import torch

from components.layers.attention import AttentionOperator


class Dense(AttentionOperator):
    """Scores the own pair on the diagonal, the past pairs beside it; causal only."""

    one_stream = False

    def __init__(self, dropout=0.0, constant="hidden"):
        super().__init__()
        self.constant = constant

    def streams(self, project, source):
        own = project(source)
        return own, project(source.detach()) if self.constant == "hidden" else own.detach()

    def forward(self, queries, own, past, mask):
        size, width = queries.shape[-2:]
        same = torch.eye(size, dtype=torch.bool)
        scores = torch.where(same, queries @ own.keys.mT, queries @ past.keys.mT) / width**0.5
        if mask.causal:
            scores = scores.masked_fill(~torch.ones_like(same).tril(), -torch.inf)
        shares = scores.softmax(-1)
        own_shares = shares.diagonal(dim1=-2, dim2=-1)[..., None]
        return shares.masked_fill(same, 0) @ past.values + own_shares * own.values
