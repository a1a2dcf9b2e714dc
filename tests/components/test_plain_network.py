"""The plain network of the toy example: cells as features, a perceptron, nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

from components.backbones import Perceptron
from components.data import DensityBatch, DensitySpec
from components.interfaces import Embedded
from components.stems import CellIndex, FeatureStem, Unscaled
from components.supports import Interval

SPEC = DensitySpec(Interval(-1.0, 1.0), features=2)


def batch(features):
    target = torch.zeros(len(features), 1)
    return DensityBatch(features, target, torch.ones_like(target))


def test_cells_are_those_of_digitize():
    values = np.random.default_rng(0).uniform(-1.2, 1.2, 2000)
    edges = np.linspace(-1, 1, 51)
    expected = np.clip(np.digitize(values, edges) - 1, 0, 49)
    found = CellIndex()(torch.from_numpy(values))
    np.testing.assert_array_equal(found, expected)


def test_scales_change_what_is_embedded_and_nothing_else():
    features = torch.tensor([[-0.99, 0.5], [0.0, 5.0]])
    for scale, read in ((Unscaled, features), (CellIndex, torch.tensor([[0.0, 37], [25, 49]]))):
        stem = FeatureStem(6, SPEC, scale=scale)
        torch.testing.assert_close(stem(batch(features)).states[:, 0], stem.embedding(read))
        assert set(stem.state_dict()) == {"embedding.weight", "embedding.bias"}


@pytest.mark.parametrize(("options", "said"), [({"bins": 0}, "bins=0"), ({"low": 1.0}, "low=1.0")])
def test_cells_that_cannot_be(options, said):
    with pytest.raises(ValueError, match=rf"CellIndex: {said}[^\n]*\.$"):
        CellIndex(**options)


def test_stem_and_perceptron_are_the_network_of_the_paper():
    """2-64-32 with ReLUs, as torch.nn.Sequential."""
    backbone = Perceptron(dim=32, depth=1, hidden=64)
    stem = FeatureStem(backbone.input_dim, SPEC, scale=CellIndex)
    plain = nn.Sequential(stem.embedding, nn.ReLU(), backbone.blocks[0], nn.ReLU())
    given = batch(torch.rand(10, 2) * 2 - 1)
    assert (stem.embedding.in_features, stem.embedding.out_features) == (2, 64)
    torch.testing.assert_close(
        backbone(stem(given))[:, 0], plain(CellIndex()(given.features)), rtol=0, atol=0
    )


def test_depth_counts_maps_and_positions_are_alone():
    backbone = Perceptron(dim=3, depth=3, hidden=5)
    assert [tuple(block.weight.shape) for block in backbone.blocks] == [(5, 5), (5, 5), (3, 5)]
    assert Perceptron(dim=4, depth=2).input_dim == 4
    states = torch.randn(2, 6, 5)
    cache = backbone.new_cache(2, 6)
    parts = [backbone(Embedded(part), cache) for part in states.split(2, 1)]
    torch.testing.assert_close(torch.cat(parts, 1), backbone(Embedded(states)))


def test_a_context_and_no_width_are_refused():
    with pytest.raises(ValueError, match=r"Perceptron .* cannot see the context of 6 positions"):
        Perceptron(4, 1)(Embedded(torch.zeros(1, 2, 4), context=torch.zeros(1, 6, 4)))
    with pytest.raises(ValueError, match="Perceptron: depth=0"):
        Perceptron(4, 0)
