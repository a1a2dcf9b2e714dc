"""Probes against least squares of numpy, by hand and through a model, on one rank and on two."""

from functools import partial

import numpy as np
import pytest
import torch

from components.heads.linear import LinearHead
from components.interfaces import Backbone, Embedded
from components.stems.tokens import TokenStem
from framework.analysis import LeastSquares, Sample
from framework.analysis.states import hidden_states
from framework.modules.language import LanguageModel
from framework.papers.myopic import probe_layers
from framework.papers.myopic.probes import held_out_r2
from tests.framework.modules.parts import options
from tests.framework.papers.myopic.models import SPEC, Windows, model
from tests.ranks import run_ranks

FIRST = 2


def ridge_r2(x, y, fitted, ridge):
    """R² of one output by numpy's least squares: the penalty as further rows, as textbooks do."""
    inside, outside = (x[fitted], y[fitted]), (x[~fitted], y[~fitted])
    shift, middle = inside[0].mean(0), inside[1].mean()
    rows = np.concatenate([inside[0] - shift, np.sqrt(ridge) * np.eye(x.shape[1])])
    goal = np.concatenate([inside[1] - middle, np.zeros(x.shape[1])])
    slopes = np.linalg.lstsq(rows, goal, rcond=None)[0]
    residual = outside[1] - middle - (outside[0] - shift) @ slopes
    return 1 - (residual**2).sum() / ((outside[1] - outside[1].mean()) ** 2).sum()


@pytest.mark.parametrize("ridge", [1e-4, 3.0])
def test_scores_are_those_of_least_squares(ridge):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)) + 7.0  # far from the origin: the constant matters
    x[:, 4] = x[:, 0] - x[:, 1]  # and columns depend on each other
    y = np.stack([x @ rng.normal(size=5) + rng.normal(size=60), rng.normal(size=60) - 3], 1)
    fitted = rng.random(60) < 0.4
    halves = LeastSquares(5, 2), LeastSquares(5, 2)
    for half, chosen in zip(halves, (fitted, ~fitted), strict=True):
        half.add(torch.from_numpy(x[chosen]), torch.from_numpy(y[chosen]))
    expected = [ridge_r2(x, y[:, k], fitted, ridge) for k in range(2)]
    np.testing.assert_allclose(held_out_r2(*halves, ridge).numpy(), expected, rtol=1e-9)
    assert expected[0] > 0.5 > 0 > expected[1]


def test_what_is_constant_has_no_score():
    half = LeastSquares(2)
    half.add(torch.randn(4, 2), torch.ones(4))
    assert held_out_r2(half, half, 1.0).isnan().all()


def regressors(batch):
    tokens = batch.tokens.double()
    before = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], 1)
    return {"token": tokens, "token before": before}


def probed(module, size):
    found = probe_layers(module, Sample(Windows(40), size, batch_size=7), regressors, FIRST)
    return found.names, found.r2


def test_layers_are_probed_at_the_positions_that_count():
    """A loop: every position from the first one on, the halves by the number of the sequence."""
    module, size = model().eval(), 31
    batch = Windows(40).__getitems__(list(range(size)))
    layers = [layer.double().numpy() for layer in hidden_states(module, batch)]
    chosen = [(b, t) for b in range(size) for t in range(FIRST, 6) if batch.weight[b, t]]
    fitted = np.array([b < size // 2 for b, _ in chosen])
    names, found = probed(module, size)
    assert names == ["token", "token before"]
    assert found.shape == (4, 2)
    for layer, row in zip(layers, found, strict=True):
        x = np.stack([layer[place] for place in chosen])
        for name, value in zip(names, row, strict=True):
            y = np.array([float(regressors(batch)[name][place]) for place in chosen])
            assert value == pytest.approx(ridge_r2(x, y, fitted, 1e-4), rel=1e-6, abs=1e-8)
    assert found[0, 0] > 0.99  # the embedding tells its token, and no other
    assert found[0, 1] < 0.2


def test_two_ranks_find_what_one_does():
    def on_rank():
        torch.distributed.init_process_group("gloo")
        return [probed(model(), 31)[1]]

    expected = probed(model(), 31)[1]
    for [found] in run_ranks(on_rank, 2):
        torch.testing.assert_close(found, expected)


def test_states_are_those_of_a_loop_over_blocks():
    module, batch = model().eval(), Windows(3).__getitems__([0, 1, 2])
    layers = hidden_states(module, batch)
    torch.testing.assert_close(layers[0], module.stem(batch).states)
    with torch.no_grad():
        final = module.backbone.norm(layers[-1])
    torch.testing.assert_close(final, module.backbone(module.stem(batch)).detach())
    shallow = model(depth=1)
    shallow.load_state_dict(module.state_dict(), strict=False)
    torch.testing.assert_close(hidden_states(shallow, batch)[1], layers[1])


def test_mistakes():
    with pytest.raises(ValueError, match="ridge=-1 is negative"):
        probe_layers(model(), Sample(Windows(4)), regressors, ridge=-1)
    with pytest.raises(ValueError, match="name no regressors"):
        probe_layers(model(), Sample(Windows(4)), lambda batch: {})
    with pytest.raises(ValueError, match="0 positions to fit and 0 held-out ones"):
        probe_layers(model(), Sample(Windows(4)), regressors, first=6)
    with pytest.raises(ValueError, match="size=0 holds no example"):
        Sample(Windows(4), 0)


class Pooling(Backbone):
    """Its block reads the first position only."""

    def __init__(self, dim=8, depth=1):
        super().__init__()
        self.dim, self.blocks = dim, torch.nn.ModuleList(torch.nn.Identity() for _ in range(depth))

    def forward(self, inputs, cache=None):
        for block in self.blocks:
            block(inputs.states[:, :1])
        return inputs.states

    def new_cache(self, batch_size, length):
        raise AssertionError("nothing is continued")


@pytest.mark.parametrize(
    ("depth", "told"), [(0, "Pooling has no blocks"), (1, "do not pass one stream of 6 states")]
)
def test_a_backbone_without_states_of_each_layer_is_refused(depth, told):
    backbone = partial(Pooling, depth=depth)
    module = LanguageModel(**options(SPEC, TokenStem, LinearHead, backbone))
    module.configure_model()
    with pytest.raises(ValueError, match=told):
        hidden_states(module, Windows(2).batch)
    assert not any(block._forward_hooks for block in module.backbone.blocks)


def test_a_context_in_front_is_no_position():
    """Of a Decoder that reads a prefix, the states are those behind it."""
    module = model().eval()
    batch = Windows(3).batch
    plain = module.stem.forward

    def with_context(batch):
        states = plain(batch).states
        return Embedded(states[:, 2:], context=states[:, :2])

    module.stem.forward = with_context
    layers = hidden_states(module, batch)
    assert [layer.shape for layer in layers] == [(3, 4, 8)] * 4
    with torch.no_grad():
        torch.testing.assert_close(layers[0], plain(batch).states[:, 2:])
        final = module.backbone(with_context(batch))
        torch.testing.assert_close(module.backbone.norm(layers[-1]), final)
