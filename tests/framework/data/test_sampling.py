"""Batches are a function of seed, step, rank and world; evaluation counts every example once."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch

from framework.data import permutations
from framework.data.permutations import Computed, Listed
from framework.data.sampling import EndlessSampler, ShardSampler, StepSampler

HUGE = 10**12 // 256  # windows of 256 tokens in a corpus of 10^12


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def batches(number, **options):
    return list(itertools.islice(StepSampler(**options), number))


@pytest.fixture(params=[Listed, Computed])
def order(request, monkeypatch):
    """Both ways to order the examples of an epoch."""
    monkeypatch.setattr(permutations, "LISTED", 0 if request.param is Computed else 1 << 24)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_share_the_global_batch(world):
    whole = batches(7, size=20, batch_size=6, seed=3)
    parts = [batches(7, size=20, batch_size=6, seed=3, rank=r, world=world) for r in range(world)]
    assert [joined(shares) for shares in zip(*parts, strict=True)] == whole
    assert all(len(share) == 6 // world for part in parts for share in part)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("start", [0, 1, 4, 5, 13])
def test_starting_at_a_step_is_reading_on_from_there(start):
    whole = batches(20, size=11, batch_size=2, seed=0)
    assert batches(20 - start, size=11, batch_size=2, seed=0, start=lambda: start) == whole[start:]


def test_the_start_is_asked_at_every_iteration():
    steps = iter([0, 2])
    sampler = StepSampler(9, 3, seed=0, start=lambda: next(steps))
    first = list(itertools.islice(sampler, 3))
    assert next(iter(sampler)) == first[2]


@pytest.mark.usefixtures("order")
def test_an_epoch_repeats_nothing_and_the_next_has_another_order():
    order = batches(10, size=10, batch_size=2, seed=1)
    first, second = joined(order[:5]), joined(order[5:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != joined(batches(5, size=10, batch_size=2, seed=2))


def test_a_computed_order_has_every_number_once():
    for size in (*range(1, 40), 4096, 4097):
        for seed in (0, -3):
            whole = Computed(size, seed, epoch=2).part(0, size)
            assert sorted(whole) == list(range(size))
            assert Computed(size, seed, 2).part(size // 3, size) == whole[size // 3 :]


def test_a_computed_order_is_as_even_as_a_drawn_one():
    """Of many epochs, against uniform frequencies: places, numbers that follow, correlation."""
    epochs, size, cells = 20, 10_000, 50
    orders = np.array([Computed(size, 7, epoch).part(0, size) for epoch in range(epochs)])
    places = np.arange(size)
    pairs = {"place": (np.broadcast_to(places, orders.shape), orders)}
    pairs["next"] = (orders[:, :-1], orders[:, 1:])
    pairs["next epoch"] = (orders[:-1], orders[1:])
    for name, (one, other) in pairs.items():
        assert abs(np.corrcoef(one.flat, other.flat)[0, 1]) < 4 / np.sqrt(one.size), name
        seen = np.bincount((one // 200 * cells + other // 200).flat, minlength=cells**2)
        chi = ((seen - one.size / cells**2) ** 2).sum() / (one.size / cells**2)
        assert abs(chi - cells**2) < 5 * np.sqrt(2 * cells**2), name


def test_an_order_of_billions_takes_no_memory_and_starts_anywhere():
    last = HUGE // 512 - 2
    tracemalloc.start()
    found = [joined(batches(3, size=HUGE, batch_size=512, seed=1, start=lambda: last))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6  # a list of the order would have 31 GB
    assert len(set(found[0][:1024])) == 1024
    assert min(found[0]) >= 0
    assert HUGE * 0.99 < max(found[0]) < HUGE
    ranks = [
        batches(3, size=HUGE, batch_size=512, seed=1, rank=r, world=4, start=lambda: last)
        for r in range(4)
    ]
    assert joined(joined(parts) for parts in zip(*ranks, strict=True)) == found[0]


def test_orders_up_to_a_stated_size_are_listed(monkeypatch):
    """As those are in which published results were trained: by `torch.randperm`."""
    assert permutations.LISTED == 1 << 24
    monkeypatch.setattr(permutations, "LISTED", 100)
    expected = torch.randperm(100, generator=torch.Generator().manual_seed(2_000_008))
    assert permutations.permutation(100, seed=2, epoch=2).part(0, 100) == expected.tolist()
    assert type(permutations.permutation(101, seed=2, epoch=2)) is Computed


def test_batch_must_be_shared_equally():
    with pytest.raises(ValueError, match=r"batch_size=5 .* 2 processes.*multiple of 2"):
        StepSampler(100, 5, seed=0, world=2)
    with pytest.raises(ValueError, match="batch_size=0"):
        StepSampler(100, 0, seed=0)


def test_too_few_examples_for_a_batch():
    with pytest.raises(ValueError, match=r"3 examples.*lower batch_size=4"):
        StepSampler(3, 4, seed=0)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_shards_cover_every_example_once_in_equally_many_batches(world, batch_size):
    for size in range(world, 40):
        shards = [ShardSampler(size, batch_size, rank, world) for rank in range(world)]
        seen = [list(shard) for shard in shards]
        assert sorted(joined(joined(seen))) == list(range(size))
        assert {len(part) for part in seen} == {len(shards[0])}
        sizes = [len(batch) for part in seen for batch in part]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= batch_size + (size // world < -(-size // (world * batch_size)))


def test_every_process_needs_an_example():
    with pytest.raises(ValueError, match="2 examples for 3 processes"):
        ShardSampler(2, 8, 0, 3)
    with pytest.raises(ValueError, match="eval_batch_size=0"):
        ShardSampler(2, 0)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_examples_without_end_are_shared_and_read_on(world):
    def batches(rank, start=0):
        sampler = EndlessSampler(6, rank, world, start=lambda: start)
        return list(itertools.islice(sampler, 5))

    parts = [batches(rank) for rank in range(world)]
    assert joined(joined(shares) for shares in zip(*parts, strict=True)) == list(range(30))
    assert [batches(rank, 2)[:3] for rank in range(world)] == [part[2:] for part in parts]


def test_examples_without_end_are_shared_equally():
    with pytest.raises(ValueError, match="batch_size=4 cannot be shared equally by 3 processes"):
        EndlessSampler(4, world=3)
