"""Heads over tokens that end in a linear map return it; all others raise an error."""

from functools import partial

import pytest
import torch
from every_head import BASELINES, BINS, CELLS, DIM, INTERVALS, PAIRS, REAL, name
from torch import nn

from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.layers.fan import FanLayer
from components.supports import Tokens

SIZE = 11
LINEAR = [
    LinearHead,
    partial(LinearHead, bias=False),
    partial(LinearHead, scale=0.5),
    FanHead,
    partial(FanHead, layers=2, hidden=6, p=0.5, gated=True),
    partial(FanHead, bias=False),
]
REFUSED = [(head, support) for head, support in PAIRS if not isinstance(support, Tokens)]


@pytest.mark.parametrize("factory", LINEAR, ids=name)
@pytest.mark.parametrize("tied", [False, True])
def test_rows_times_features_are_the_logits(factory, tied):
    torch.manual_seed(0)
    head = factory(dim=DIM, support=Tokens(SIZE))
    features, weight, bias = head.output_embedding()
    table = nn.Embedding(*weight.shape)
    if tied:
        head.tie(table)
        features, weight, bias = head.output_embedding()
    hidden = torch.randn(2, 3, DIM)
    logits = features(hidden) @ weight.T + (0 if bias is None else bias)
    torch.testing.assert_close(logits, head(hidden).logits)
    assert weight.shape[0] == SIZE
    assert (weight is table.weight) == tied
    assert all(p is not weight for p in features.parameters())
    assert (bias is None) == ("bias" in getattr(factory, "keywords", {}))


def test_a_linear_head_reads_hidden_states_as_they_are():
    hidden = torch.randn(4, DIM)
    assert LinearHead(DIM, Tokens(SIZE)).output_embedding().features(hidden) is hidden


@pytest.mark.parametrize(
    ("factory", "support"), REFUSED, ids=[f"{name(h)}-{s}" for h, s in REFUSED]
)
def test_real_values_have_no_rows(factory, support):
    head = factory(dim=DIM, support=support)
    with pytest.raises(ValueError, match=rf"{type(head).__name__} .* output embedding") as told:
        head.output_embedding()
    assert str(told.value).endswith(".")
    assert str(told.value).count(". ") == 0


@pytest.mark.parametrize(
    "factory", [FourierHead, partial(FourierHead, projection=partial(FanLayer, p=0.5))]
)
def test_a_fourier_head_has_no_row_for_each_token(factory):
    with pytest.raises(ValueError, match=r"FourierHead has no row of a matrix for each token"):
        factory(dim=DIM, support=Tokens(SIZE)).output_embedding()


def test_every_kind_of_head_was_asked():
    asked = {getattr(head, "func", head) for head, _ in REFUSED}
    assert asked == {getattr(head, "func", head) for head in (*CELLS, *REAL, *BASELINES)}
    assert {type(support) for _, support in REFUSED} == {type(s) for s in INTERVALS + BINS}
