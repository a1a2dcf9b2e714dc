"""Contexts are sampled by their numbers alone; probabilities in them are those of a softmax."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from framework.papers.token_encoding.contexts import SCRAMBLE, Contexts, ContextSample
from framework.papers.token_encoding.readout import Readout
from tests.ranks import run_ranks

COUNT, DIM = 400, 3


def rows(count=COUNT):
    """Numbers in no order, hidden states that tell the number, and targets."""
    numbers = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return numbers, numbers[:, None].expand(-1, DIM) / 7, numbers % 5


def sampled(size, batch=COUNT, share=slice(None)):
    kept = ContextSample(size)
    for part in zip(*(field[share].split(batch) for field in rows()), strict=True):
        kept.add(*part)
    return kept.gather()


def lowest(size, numbers):
    """Chooses with integers of any length."""
    wrapped = {n: (n * SCRAMBLE + (1 << 63)) % (1 << 64) for n in numbers}
    return sorted(wrapped, key=wrapped.get)[:size]


@pytest.mark.parametrize("size", [1, 16, 399, 400, 1000])
@pytest.mark.parametrize("batch", [1, 7, 64, COUNT])
def test_the_lowest_scrambled_numbers_are_kept(size, batch):
    contexts = sampled(size, batch)
    expected = torch.tensor(lowest(size, range(COUNT)))
    assert len(contexts) == min(size, COUNT)
    assert torch.equal(contexts.hidden, expected[:, None].expand(-1, DIM) / 7)
    assert torch.equal(contexts.target, expected % 5)


def test_numbers_may_wrap():
    """An odd factor modulo 2^64 gives different numbers different ranks."""
    start, kept = (1 << 63) - 1 - COUNT, ContextSample(10)
    numbers, _, target = rows()
    kept.add(numbers + start, numbers[:, None].float(), target)
    expected = [n - start for n in lowest(10, range(start, start + COUNT))]
    assert kept.gather().hidden[:, 0].tolist() == expected
    assert len((numbers * SCRAMBLE).unique()) == COUNT


def test_a_sample_is_spread_evenly():
    """Golden multiples: each eighth of the numbers gives an eighth of the sample, within 2."""
    expected = [n * 8 // COUNT for n in lowest(80, range(COUNT))]
    assert np.abs(np.bincount(expected) - 10).max() <= 2


@pytest.mark.parametrize("size", [16, 390, 1000])
def test_ranks_with_unequal_shares_keep_what_one_does(size):
    def on_rank():
        torch.distributed.init_process_group("gloo")
        share = slice(370) if torch.distributed.get_rank() == 0 else slice(370, None)
        contexts = sampled(size, 50, share)
        return {"hidden": contexts.hidden, "target": contexts.target}

    expected = sampled(size)
    for found in run_ranks(on_rank, 2):
        assert torch.equal(found["hidden"], expected.hidden)
        assert torch.equal(found["target"], expected.target)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chunk", [1, 100, 1 << 24])
def test_log_probabilities_are_those_of_a_softmax(bias, chunk):
    torch.manual_seed(0)
    own = Readout(torch.randn(31, 6), torch.randn(31) if bias else None)
    contexts = Contexts(torch.randn(20, 6), torch.randint(31, (20,)))
    tokens = torch.tensor([30, 0, 7])
    logits = contexts.hidden.double() @ own.weight.double().T
    expected = log_softmax((logits + own.bias.double() if bias else logits).numpy(), 1)
    found = contexts.log_probs(own, tokens)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected[:, tokens], rtol=0, atol=2e-6)
    whole = contexts.log_normalizer(own)
    torch.testing.assert_close(contexts.log_normalizer(own, chunk), whole, rtol=0, atol=2e-6)


def test_a_sample_of_nothing():
    with pytest.raises(ValueError, match="ContextSample: size=0 keeps no context; use at least 1"):
        ContextSample(0)
    nothing = ContextSample(3)
    with pytest.raises(ValueError, match="ContextSample got no context; give data whose positio"):
        nothing.gather()
    nothing.add(*(field[:0] for field in rows()))
    with pytest.raises(ValueError, match="ContextSample got no context"):
        nothing.gather()
