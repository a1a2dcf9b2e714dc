"""Sequences are functions of seed and number, whoever reads them and from whatever step on."""

import itertools

import jsonargparse
import numpy as np
import pytest
import torch

from components.supports import Interval
from framework.data import PredictiveData
from framework.tasks.lagged_sines import LaggedSines, SequenceData


def data(**options):
    return SequenceData(LaggedSines(5, 4.0, 0.5), length=20, **{"batch_size": 4, **options})


def first_batches(module, count=3):
    return list(itertools.islice(module.train_dataloader(), count))


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_batch_holds_what_the_process_draws():
    batch = data(seed=7).dataset("train").__getitems__([3, 11])
    for row, index in enumerate((3, 11)):
        rng = np.random.default_rng((0, 7, index))
        features, outcome = LaggedSines(5, 4.0, 0.5).draw(rng, 20)
        np.testing.assert_array_equal(batch.features[row], features.astype(np.float32))
        np.testing.assert_array_equal(batch.target[row], outcome.astype(np.float32))
    assert torch.equal(batch.weight, torch.ones(2, 20))


def test_no_sequence_comes_twice():
    numbers = torch.cat([batch.features[:, 0, 0] for batch in first_batches(data(), 50)])
    assert len(numbers.unique()) == 200


def test_training_differs_between_seeds_and_evaluation_does_not():
    one, two = data(seed=1), data(seed=2)
    assert same(first_batches(one)[0], first_batches(data(seed=1))[0])
    assert not same(first_batches(one)[0], first_batches(two)[0])
    for split in ("val", "test", "predict"):
        assert same(*(module.dataset(split).__getitems__([0, 5]) for module in (one, two)))


def test_splits_have_no_sequence_in_common():
    splits = ("train", "val", "test")
    rows = [data(seed=0).dataset(split).__getitems__(list(range(100))) for split in splits]
    numbers = torch.cat([row.features[:, 0, 0] for row in rows])
    assert len(numbers.unique()) == 300
    assert same(rows[2], data().dataset("predict").__getitems__(list(range(100))))


def test_a_resumed_run_reads_on():
    module = data()
    whole = first_batches(module, 5)
    module._step = lambda: 3
    assert same(first_batches(module, 1)[0], whole[3])


def test_ranks_share_a_batch():
    [whole] = first_batches(data(), 1)
    parts = []
    for rank in (0, 1):
        module = data()
        module._place = lambda rank=rank: (rank, 2)
        parts += first_batches(module, 1)
    assert [len(part.target) for part in parts] == [2, 2]
    assert same(whole, [torch.cat(fields) for fields in zip(*parts, strict=True)])


def test_workers_change_nothing():
    plain = first_batches(data())
    assert all(map(same, plain, first_batches(data(num_workers=1))))


def test_facts():
    module = data(validation=6)
    assert module.spec.support == Interval(-5.0, 5.0)
    assert (module.spec.features, module.spec.length) == (2, 20)
    assert len(module.dataset("val")) == len(module.dataset("test")) == 6
    assert len(data().dataset("val")) == 1024
    assert sum(len(batch.target) for batch in module.val_dataloader()) == 6


def test_task_and_regressors_are_those_of_the_process():
    module = data()
    [batch] = first_batches(module, 1)
    assert torch.equal(module.task(batch), batch.features[..., 1] == 1)
    lagged = list(module.regressors(batch).values())[1:]
    task = module.task(batch)
    torch.testing.assert_close(sum(lagged)[task].float(), batch.target[task], rtol=0, atol=1e-5)


@pytest.mark.parametrize("option", [{"length": 0}, {"validation": 0}])
def test_bad_options_are_one_sentence(option):
    [(name, _)] = option.items()
    with pytest.raises(ValueError, match=rf"SequenceData draws nothing with .*{name}=0.*; use"):
        SequenceData(LaggedSines(), **option)


def test_options_come_from_a_recipe():
    source = {"class_path": "LaggedSines", "init_args": {"lags": 2, "share": 1.0}}
    recipe = {"class_path": "SequenceData", "init_args": {"source": source, "length": 9}}
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PredictiveData, "data")
    made = parser.instantiate_classes(parser.parse_object({"data": recipe})).data
    assert isinstance(made, SequenceData)
    assert made.source.lags == 2
    assert (made.source.frequency, made.spec.length) == (10.0, 9)
