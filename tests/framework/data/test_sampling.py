"""Batches are a function of seed, step, rank and world; evaluation counts every example once."""

import itertools

import pytest

from framework.data.sampling import EndlessSampler, ShardSampler, StepSampler


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def batches(number, **options):
    return list(itertools.islice(StepSampler(**options), number))


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_share_the_global_batch(world):
    whole = batches(7, size=20, batch_size=6, seed=3)
    parts = [batches(7, size=20, batch_size=6, seed=3, rank=r, world=world) for r in range(world)]
    assert [joined(shares) for shares in zip(*parts, strict=True)] == whole
    assert all(len(share) == 6 // world for part in parts for share in part)


@pytest.mark.parametrize("start", [0, 1, 4, 5, 13])
def test_starting_at_a_step_is_reading_on_from_there(start):
    whole = batches(20, size=11, batch_size=2, seed=0)
    assert batches(20 - start, size=11, batch_size=2, seed=0, start=lambda: start) == whole[start:]


def test_the_start_is_asked_at_every_iteration():
    steps = iter([0, 2])
    sampler = StepSampler(9, 3, seed=0, start=lambda: next(steps))
    first = list(itertools.islice(sampler, 3))
    assert next(iter(sampler)) == first[2]


def test_an_epoch_repeats_nothing_and_the_next_has_another_order():
    order = batches(10, size=10, batch_size=2, seed=1)
    first, second = joined(order[:5]), joined(order[5:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != joined(batches(5, size=10, batch_size=2, seed=2))


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
