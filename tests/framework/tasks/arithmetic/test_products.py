"""Multiplications as data: drawn as the paper draws them, the same for seed and number."""

import itertools
from collections import Counter

import jsonargparse
import numpy as np
import pytest
import torch

from components.supports import Tokens
from framework.data import PredictiveData
from framework.tasks.arithmetic import Multiplication, ProductData


def data(digits=2, **options):
    return ProductData(Multiplication(digits), **{"batch_size": 4, "validation": 8, **options})


def first_batches(module, count=3):
    return list(itertools.islice(module.train_dataloader(), count))


def equations(module, batch):
    """Pairs of factors, and checks that the product behind them is theirs."""
    rows = torch.cat((batch.tokens, batch.target[:, -1:]), 1).tolist()
    texts = [module.decode(row) for row in rows]
    pairs = [tuple(map(int, text.partition("=")[0].split("*"))) for text in texts]
    assert texts == [f"{a}*{b}={a * b}" for a, b in pairs]
    return pairs


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.slow
def test_numbers_of_digits_and_then_numbers_are_drawn_evenly():
    """Expected shares by enumeration: 4 cells, and in each all numbers below 10^k."""
    module = data()
    batch = module.dataset("train").__getitems__(list(range(8000)))
    shares = Counter(batch.group.tolist())
    assert module.cells == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(shares[k] / 8000 == pytest.approx(0.25, abs=0.025) for k in range(4))
    first = np.array([a for a, _ in equations(module, batch)])
    below_ten = 0.5 + 0.5 * 0.1  # a number drawn below 100 may be below 10
    assert (first < 10).mean() == pytest.approx(below_ten, abs=0.03)
    assert set(first) == set(range(100))


def test_factors_have_at_most_the_digits_of_their_cell():
    module = data(3, validation=50)
    for split in ("train", "val", "test"):
        batch = module.dataset(split).__getitems__(list(range(400)))
        for (a, b), group in zip(equations(module, batch), batch.group.tolist(), strict=True):
            digits = module.cells[group]
            assert a < 10 ** digits[0]
            assert b < 10 ** digits[1]


def test_cells_take_turns_in_evaluation():
    module = data(3)
    examples = module.dataset("val")
    assert len(examples) == 8 * 9
    batch = examples.__getitems__(list(range(72)))
    assert batch.group.tolist() == list(range(9)) * 8
    assert sum(len(batch.group) for batch in module.val_dataloader()) == 72


def test_evaluation_is_the_same_for_every_seed_and_training_is_not():
    one, two = data(seed=1), data(seed=2)
    assert same(first_batches(one)[0], first_batches(data(seed=1))[0])
    assert not same(first_batches(one)[0], first_batches(two)[0])
    for split in ("val", "test", "predict"):
        assert same(*(module.dataset(split).__getitems__([0, 5]) for module in (one, two)))
    val, test = (data(4).dataset(split).__getitems__(list(range(64))) for split in ("val", "test"))
    assert not same(val, test)


def test_training_goes_on_from_any_step_and_is_shared_by_ranks():
    module = data()
    whole = first_batches(module, 5)
    module._step = lambda: 3
    assert same(first_batches(module, 1)[0], whole[3])
    module._place = lambda: (1, 2)
    assert same(first_batches(module, 1)[0], [field[2:] for field in whole[3]])


@pytest.mark.parametrize("source", [Multiplication(2), Multiplication(2, padding=4, product=6)])
def test_the_loss_counts_the_answer_or_everything(source):
    answer, everything = (
        ProductData(source, loss, validation=2) for loss in ("answer", "everything")
    )
    rows = [module.dataset("train").__getitems__([3, 4]) for module in (answer, everything)]
    assert same(rows[0][:2], rows[1][:2])
    asked = 2 * source.padding + 1
    assert rows[0].weight.sum(1).tolist() == [source.product] * 2
    assert not rows[0].weight[:, :asked].any()
    assert torch.equal(rows[1].weight, torch.ones(2, answer.spec.length))
    both = [module.dataset("val").__getitems__([0, 1]) for module in (answer, everything)]
    assert same(*both)
    assert torch.equal(both[0].weight, rows[0].weight)


def test_facts():
    spec = data(3).spec
    assert spec.support == Tokens(12)
    assert spec.length == 3 + 1 + 3 + 1 + 6 - 1
    assert ProductData(Multiplication(2, padding=5)).spec.length == 5 + 1 + 5 + 1 + 4 - 1


def test_nothing_to_validate_on_is_refused():
    with pytest.raises(ValueError, match="ProductData: validation=0 draws nothing; use at least"):
        data(validation=0)


def test_options_come_from_a_recipe():
    source = {"class_path": "Multiplication", "init_args": {"digits": 4, "order": "most"}}
    options = {"source": source, "loss": "everything", "seed": 3, "batch_size": 7}
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PredictiveData, "data")
    recipe = {"data": {"class_path": "ProductData", "init_args": options}}
    made = parser.instantiate_classes(parser.parse_object(recipe)).data
    assert (made.source.digits, made.source.order, made.loss) == (4, "most", "everything")
    assert (made.seed, made.batch_size, made.validation) == (3, 7, 1024)
