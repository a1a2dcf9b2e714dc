"""Parts that are simple enough to know what they do."""

import torch
from torch import nn
from torch.distributions import Categorical, Normal

from components.interfaces import Backbone, Cache, Embedded, Head, Stem
from components.layers.cache import LayerCache


class Tokens(Stem):
    """Embeds tokens by a random table."""

    def __init__(self, size, dim):
        super().__init__()
        self.table = nn.Embedding(size, dim)

    def forward(self, batch):
        return Embedded(self.table(batch.tokens))


class Series(Stem):
    """The scaled past is the context; a state holds the scaled value before its own."""

    def forward(self, batch):
        past, target = ((x - batch.loc) / batch.scale for x in (batch.past, batch.target))
        states = torch.cat([past[:, -1:], target[:, :-1]], dim=1)
        return Embedded(states[..., None], None, past[..., None], batch.observed)


class Sum(Backbone):
    """The hidden state is the sum of all values read so far, weighted by their age."""

    dim = 1

    def __init__(self, decay):
        super().__init__()
        self.blocks = nn.ModuleList()
        self.decay = decay

    def new_cache(self, batch_size, length):
        return Cache(1, batch_size, length)

    def forward(self, inputs, cache=None):
        states, _, context, mask, _ = inputs
        context = states[:, :0] if context is None else context
        context = context if mask is None else context * mask[..., None]
        new = torch.cat([context, states], dim=1)[:, None]  # a single head
        layer = LayerCache(new.shape[2]) if cache is None else cache.layers[0]
        known = layer.extend(new, new)[0][:, 0]
        length = known.shape[1]
        age = torch.arange(length)[:, None] - torch.arange(length)[None]
        weights = torch.where(age >= 0, self.decay ** age.clamp(min=0), 0.0).to(known)
        return (weights @ known)[:, -states.shape[1] :]


class Logits(Head):
    def __init__(self, dim, size):
        super().__init__()
        self.projection = nn.Linear(dim, size)

    def forward(self, hidden):
        return Categorical(logits=self.projection(hidden), validate_args=False)


class Gaussian(Head):
    """A normal distribution around a fixed multiple of the hidden state."""

    def __init__(self, slope, std):
        super().__init__()
        self.slope, self.std = slope, std

    def forward(self, hidden):
        return Normal(self.slope * hidden[..., 0], self.std, validate_args=False)
