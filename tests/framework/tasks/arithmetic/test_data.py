"""Equations are right for every pair, and training has all of them but those in the hole."""

import itertools

import jsonargparse
import pytest
import torch

from components.supports import Tokens
from framework.data import PredictiveData
from framework.tasks.arithmetic import EquationData, LinearEquation, ModularAddition, Square

TASKS = {  # source, hole, what each pair should give, the sign "="
    "modular": (ModularAddition(), Square((56, 56), 10), lambda a, b: (a + b) % 113, 113),
    "small": (ModularAddition(31), Square((15, 15), 4), lambda a, b: (a + b) % 31, 31),
    "linear": (LinearEquation(), Square((50, 50), 10), lambda a, b: a + 2 * b + 3, 301),
    "aside": (LinearEquation(3, 1, 0, 9), Square((2, 6), 1), lambda a, b: 3 * a + b, 33),
}


def rows(batch):
    """Lists what is read, then what is due at the end."""
    return [(*read, due[-1]) for read, due in zip(*map(torch.Tensor.tolist, batch[:2]))]  # noqa: B905


def served(data, split):
    examples = data.dataset(split)
    return examples.__getitems__(list(range(len(examples))))


@pytest.mark.parametrize("name", TASKS)
def test_every_pair_is_either_in_the_hole_or_trained_on_with_its_answer(name):
    source, hole, answer, sign = TASKS[name]
    data = EquationData(source, hole)
    (first, second), reach = hole.center, hole.reach
    expected = {"train": set(), "val": set()}
    for a, b in itertools.product(range(source.size), repeat=2):
        inside = first - reach <= a <= first + reach and second - reach <= b <= second + reach
        expected["val" if inside else "train"].add((a, b, sign, answer(a, b)))
    for split in ("train", "val"):
        found = rows(served(data, split))
        assert len(found) == len(set(found))
        assert set(found) == expected[split]
    assert rows(served(data, "test")) == rows(served(data, "predict")) == rows(served(data, "val"))
    assert data.spec.support == Tokens(sign + 1)
    assert data.spec.length == 3


@pytest.mark.parametrize(("name", "pairs"), [("modular", 441), ("linear", 441), ("small", 81)])
def test_holes_are_as_large_as_published(name, pairs):
    source, hole, _, _ = TASKS[name]
    data = EquationData(source, hole)
    assert len(data.dataset("val")) == pairs
    assert len(data.dataset("train")) == source.size**2 - pairs


@pytest.mark.parametrize("name", TASKS)
def test_only_the_answer_counts_and_what_follows_is_the_target(name):
    batch = served(EquationData(*TASKS[name][:2]), "train")
    assert torch.equal(batch.target[:, :-1], batch.tokens[:, 1:])
    assert torch.equal(batch.weight, torch.tensor([0.0, 0.0, 1.0]).expand(len(batch.weight), 3))


@pytest.mark.parametrize("name", TASKS)
def test_text_is_read_and_written(name):
    source, hole, answer, _ = TASKS[name]
    data = EquationData(source, hole)
    for *asked, due in rows(served(data, "val"))[:7]:
        a, b, _ = asked
        assert data.decode(asked) == f"{a}+{b}="
        assert data.encode(f"{a}+{b}=") == asked
        assert data.decode([due]) == str(answer(a, b))
        assert data.decode([*asked, due]) == f"{a}+{b}={answer(a, b)}"


@pytest.mark.parametrize("text", ["31+2=", "3*4=", "1-2=", "x"])
def test_what_is_no_token_is_refused(text):
    data = EquationData(ModularAddition(31), Square((15, 15), 4))
    with pytest.raises(ValueError, match=r"ModularAddition cannot write .*; use numbers"):
        data.encode(text)


def test_all_equations_stand_in_the_order_of_their_pairs():
    table = EquationData(ModularAddition(5), Square((2, 2), 1)).drawn()
    assert rows(table) == [(a, b, 5, (a + b) % 5) for a in range(5) for b in range(5)]


def test_validation_has_the_hole_first_and_then_what_was_seen():
    data = EquationData(ModularAddition(11), Square((5, 5), 2), batch_size=16)
    hole, seen = (
        [row for batch in loader for row in rows(batch)] for loader in data.val_dataloader()
    )
    assert hole == rows(served(data, "val"))
    assert seen == rows(served(data, "train"))
    assert [row for batch in data.test_dataloader() for row in rows(batch)] == hole
    assert [row for batch in data.predict_dataloader() for row in rows(batch)] == hole


def test_an_epoch_has_every_pair_once_in_an_order_of_the_seed():
    def epoch(seed):
        data = EquationData(ModularAddition(5), Square((2, 2), 1), batch_size=4, seed=seed)
        batches = itertools.islice(data.train_dataloader(), 4)  # 25 - 9 pairs, 4 at a time
        return [row for batch in batches for row in rows(batch)], rows(served(data, "train"))

    (first, known), (again, _), (other, _) = epoch(1), epoch(1), epoch(2)
    assert sorted(first) == known
    assert first == again != other


@pytest.mark.parametrize(
    ("source", "hole", "message"),
    [
        (ModularAddition(31), Square((3, 15), 4), r"covers numbers from -1 to 19, .* move it"),
        (ModularAddition(31), Square((15, 28), 4), r"covers numbers from 11 to 32, .* 0 to 30"),
        (ModularAddition(31), Square((15, 15), 15), r"leaves nothing to train on; make it"),
        (LinearEquation(), Square((97, 97), 2), r"'296' occurs nowhere in training .* move"),
    ],
)
def test_a_hole_that_cannot_be_learned_around_is_refused(source, hole, message):
    with pytest.raises(ValueError, match=r"EquationData: .*" + message):
        EquationData(source, hole).dataset("train")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Square((5, 5), -1), "Square: reach=-1 is negative; use at least 0"),
        (lambda: ModularAddition(1), "ModularAddition: modulus=1 leaves a single number"),
        (lambda: LinearEquation(-1), "LinearEquation: first=-1, .* negative numbers or no pairs"),
        (lambda: LinearEquation(size=1), "LinearEquation: .* size=1 give .* or no pairs"),
    ],
)
def test_bad_options_are_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_options_come_from_a_recipe():
    source = {"class_path": "LinearEquation", "init_args": {"second": 5, "size": 40}}
    options = {"source": source, "hole": {"center": [20, 21], "reach": 3}, "batch_size": 7}
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PredictiveData, "data")
    recipe = {"data": {"class_path": "EquationData", "init_args": options}}
    data = parser.instantiate_classes(parser.parse_object(recipe)).data
    assert data.hole == Square((20, 21), 3)
    assert (data.source.factors, data.source.size, data.batch_size) == ((1, 5), 40, 7)
    assert data.source.formula == "c = a + 5 b + 3"
