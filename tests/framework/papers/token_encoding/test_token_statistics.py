"""Sums over contexts against two passes in float64: they depend on contexts and nothing else."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from framework.papers.token_encoding import token_statistics
from framework.papers.token_encoding.token_statistics import TokenStatistics, normalize
from tests.ranks import run_ranks

SIZE, DIM, COUNT = 301, 16, 200


def parts(bias=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(SIZE, DIM, generator=generator)
    hidden = torch.randn(COUNT, DIM, generator=generator) + 0.5
    target = torch.randint(SIZE, (COUNT,), generator=generator)
    return weight, torch.randn(SIZE, generator=generator) if bias else None, hidden, target


def exact_parts():
    """Small fractions of two, whose logits are exact whatever the order of the products."""
    weight, bias, hidden, target = parts()
    return *((4 * x).round() / 4 for x in (weight, bias, hidden)), target


def gathered(weight, bias, hidden, target, batch=COUNT, **options):
    metric = TokenStatistics(weight, bias, **options)
    for start in range(0, len(hidden), batch):
        metric.update(hidden[start : start + batch], target[start : start + batch])
    return metric.compute()


def assert_same(found, expected, tolerance=1e-10):
    for name, value in expected._asdict().items():
        torch.testing.assert_close(
            getattr(found, name), value, rtol=tolerance, atol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("bias", [True, False])
def test_sums_are_those_of_two_passes_in_float64(bias):
    weight, constants, hidden, target = parts(bias)
    sums = gathered(weight, constants, hidden, target, batch=7)
    h = hidden.double().numpy()
    logits = h @ weight.double().numpy().T + (constants.double().numpy() if bias else 0)
    log_probs, log_z = log_softmax(logits, 1), logsumexp(logits, 1)
    log_alpha = logsumexp(log_probs, 0) - np.log(COUNT)
    assert np.abs((sums.probability / COUNT).log().numpy() - log_alpha).max() < 1e-5
    assert abs(float(sums.probability.sum()) / COUNT - 1) < 1e-6
    np.testing.assert_allclose(sums.log_z, [log_z.sum(), (log_z**2).sum()], rtol=1e-6)
    np.testing.assert_allclose(
        sums.likelihood, log_probs[np.arange(COUNT), target].sum(), rtol=1e-6
    )
    np.testing.assert_allclose(sums.hidden, h.sum(0), rtol=1e-12)
    np.testing.assert_allclose(sums.products, h.T @ h, rtol=1e-12, atol=1e-12)
    assert sums.counts.tolist() == np.bincount(target, minlength=SIZE).tolist()
    assert sums.positions == COUNT


@pytest.mark.parametrize("batch", [1, 7, 64, COUNT])
@pytest.mark.parametrize("chunk", [1, 16, 4096, 1 << 24])
def test_batches_and_chunks_change_nothing(batch, chunk, monkeypatch):
    given = exact_parts()
    expected = gathered(*given)
    monkeypatch.setattr(token_statistics, "TILE", 3 * SIZE)
    assert_same(gathered(*given, batch=batch, chunk=chunk), expected)


def test_halves_are_merged():
    weight, bias, hidden, target = exact_parts()
    halves = [TokenStatistics(weight, bias) for _ in range(2)]
    for half, rows in zip(halves, (slice(50), slice(50, None)), strict=True):
        half.update(hidden[rows], target[rows])
    halves[0].merge_state(halves[1])
    assert_same(halves[0].compute(), gathered(weight, bias, hidden, target))


def test_ranks_with_unequal_shares_are_joined_by_one_reduction(monkeypatch):
    given, reductions = exact_parts(), []
    reduce = torch.distributed.all_reduce
    monkeypatch.setattr(
        torch.distributed, "all_reduce", lambda *a, **k: (reductions.append(a), reduce(*a, **k))
    )

    def on_rank():
        torch.distributed.init_process_group("gloo")
        weight, bias, hidden, target = given
        share = slice(130) if torch.distributed.get_rank() == 0 else slice(130, None)
        metric = TokenStatistics(weight, bias)
        metric.update(hidden[share], target[share])
        sums = metric.compute()
        metric.update(hidden[:1], target[:1])  # goes on with what is its own
        return {**sums._asdict(), "reductions": len(reductions), "own": metric.sums[0].item()}

    expected = gathered(*given)
    for rank, found in enumerate(run_ranks(on_rank, 2)):
        assert found.pop("reductions") == 1
        assert found.pop("own") == (131, 71)[rank]
        assert_same(type(expected)(**found), expected)


def test_logits_are_float32_whatever_the_precision_around_them():
    """In bfloat16, offsets of -100 as GPT-2 has them cost percents."""
    weight, bias, hidden, target = parts()
    rounded, offset = weight.bfloat16(), bias.bfloat16() - 100
    expected = gathered(rounded.float(), offset.float(), hidden, target)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(gathered(rounded, offset, hidden, target), expected, 0)
    half = torch.nn.functional.linear(hidden.bfloat16(), rounded, offset).softmax(-1)
    worst = (half.double().sum(0) / expected.probability).log().abs().max()
    assert worst > 0.05


@pytest.mark.parametrize("ratio", [1.0, 1e3])
def test_a_mean_far_from_zero_leaves_the_variance(ratio):
    """At a mean of 1e3 deviations, the sums lose 1e-10 of the variance, as 1e6 · 1e-16 tells."""
    weight, _, hidden, target = parts(False)
    hidden, weight = hidden + ratio, weight / 1e4
    sums = gathered(weight, None, hidden, target, batch=1)
    mean = sums.hidden / COUNT
    covariance = sums.products / COUNT - mean[:, None] * mean
    expected = np.cov(hidden.double().numpy(), rowvar=False, bias=True)
    scale = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    assert (np.abs(covariance.numpy() - expected) / scale).max() < 1e-8


def test_no_more_logits_are_held_than_a_chunk(monkeypatch):
    held, linear = [], token_statistics.linear
    monkeypatch.setattr(
        token_statistics, "linear", lambda *args: held.append(linear(*args)) or held[-1]
    )
    weight, bias, hidden, target = parts()
    gathered(weight, bias, hidden, target, chunk=10 * SIZE + 5)
    assert {len(logits) for logits in held} == {10}
    assert sum(len(logits) for logits in held) == COUNT


def test_log_z_loses_nothing_to_float32():
    """What float32 rounds log Z to is off by up to 4e-6 near 100."""
    logits = torch.randn(50, 400, generator=torch.Generator().manual_seed(0)) + 100
    probability, log_z = normalize(logits)
    expected = logsumexp(logits.double().numpy(), 1)
    np.testing.assert_allclose(log_z, expected, rtol=0, atol=3e-7)
    torch.testing.assert_close(probability.sum(-1), torch.ones(50))


def test_sums_that_were_returned_stay_and_a_reset_forgets():
    weight, bias, hidden, target = parts()
    metric = TokenStatistics(weight, bias)
    metric.update(hidden[:3], target[:3])
    early = metric.compute()
    kept = early.probability.clone()
    metric.update(hidden[3:], target[3:])
    assert torch.equal(early.probability, kept)
    metric.reset()
    metric.update(hidden[:0], target[:0])
    assert metric.compute().positions == 0
    metric.update(hidden[:3], target[:3])
    assert_same(metric.compute(), early, 0)
    assert metric.state_dict() == {}


def test_a_chunk_of_nothing():
    with pytest.raises(ValueError, match="TokenStatistics: chunk=0 holds no logit; use at least"):
        TokenStatistics(torch.ones(2, 2), chunk=0)
