"""The stem that reads cells of values, against a loop."""

import pytest
import torch

from components.binnings import MixedBins
from components.data import SeriesBatch, SeriesSpec, TokenSpec
from components.stems import BinnedSeriesStem
from components.supports import Interval, Tokens

SPEC = SeriesSpec(Interval(-15.0, 15.0), context=8, horizon=6, season=3)
BINNINGS = [4094, MixedBins(64, share=0.4)]


def panel():
    torch.manual_seed(0)
    observed = torch.rand(3, 8) > 0.3
    observed[:, -1] = True
    observed[0, :3] = False  # padding
    weight = torch.ones(3, 6)
    weight[1, 2] = 0
    return SeriesBatch(
        past=10 * torch.randn(3, 8) * observed,
        observed=observed,
        loc=torch.randn(3, 1),
        scale=torch.rand(3, 1) + 0.5,
        error=torch.ones(3, 1),
        target=10 * torch.randn(3, 6),
        weight=weight,
    )


@pytest.mark.parametrize("bins", BINNINGS, ids=str)
def test_tokens_are_cells_of_scaled_values_shifted_by_one(bins):
    stem, batch = BinnedSeriesStem(4, SPEC, bins), panel()
    edges = SPEC.support.divide(bins).edges
    embedded = stem(batch)

    def word(value, known, b):
        z = ((value - batch.loc[b, 0]) / batch.scale[b, 0]).item()
        cell = max(0, min(sum(edge <= z for edge in edges) - 1, len(edges) - 2))
        return stem.table.weight[cell if known else len(edges) - 1]

    for b in range(3):
        for c in range(8):
            assert embedded.context[b, c].equal(word(batch.past[b, c], batch.observed[b, c], b))
        assert embedded.states[b, 0].equal(stem.table.weight[len(edges)])
        for h in range(1, 6):
            before = word(batch.target[b, h - 1], batch.weight[b, h - 1] > 0, b)
            assert embedded.states[b, h].equal(before)
    assert embedded.context_mask[0].tolist() == [False] * 3 + [
        bool(seen) for seen in batch.observed[0, 3:].cumsum(0) > 0
    ]


def test_unknown_values_change_nothing():
    stem, batch = BinnedSeriesStem(4, SPEC), panel()
    nothing = torch.tensor(float("nan"))
    dirty = batch._replace(
        past=torch.where(batch.observed, batch.past, nothing),
        target=torch.where(batch.weight > 0, batch.target, nothing),
    )
    assert stem(batch).states.equal(stem(dirty).states)
    assert stem(batch).context.equal(stem(dirty).context)


def test_tokens_of_chronos_end_the_context_and_hide_what_is_missing():
    stem, batch = BinnedSeriesStem(4, SPEC, 30, tokens="chronos"), panel()
    embedded, own = stem(batch), BinnedSeriesStem(4, SPEC, 30)
    own.table.weight.data.copy_(stem.table.weight[:32])
    seen, start, end = batch.observed, stem.table.weight[30], stem.table.weight[31]
    assert stem.table.weight.shape == (33, 4)
    assert embedded.context[:, :8][seen].equal(own(batch).context[seen])
    assert (embedded.context[:, 8] == end).all()
    assert embedded.context_mask.equal(torch.cat((seen, torch.ones(3, 1, dtype=bool)), 1))
    assert (embedded.states[:, 0] == start).all()
    assert embedded.states[1, 3].equal(start)  # after a missing target
    assert stem.state(batch, 3).states[1, 0].equal(start)


def test_the_table_has_a_vector_for_each_cell_and_two_more():
    stem = BinnedSeriesStem(64, SPEC, MixedBins(4094))
    assert stem.table.weight.shape == (4096, 64)
    assert stem.table.weight.std().item() == pytest.approx(0.05, rel=0.02)


def test_other_data_are_refused():
    with pytest.raises(ValueError, match="publish a TokenSpec; choose TokenStem"):
        BinnedSeriesStem(4, TokenSpec(Tokens(3), 5))
