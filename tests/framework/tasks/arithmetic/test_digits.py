"""Multiplication by digits, against Python's own product and the example of the paper."""

import random

import pytest
import torch

from framework.tasks.arithmetic import EquationData, Multiplication, Square

TASKS = {
    "plain": Multiplication(3),
    "most": Multiplication(3, "most"),
    "filled": Multiplication(2, padding=5),
    "wide": Multiplication(2, "most", padding=3, product=9),
    "longest": Multiplication(9, padding=20, product=40),
    "single": Multiplication(1),
}


def text(number, width, order):
    """The digits of a number as Python writes them, filled up with zeros."""
    written = str(number).zfill(width)
    return written[::-1] if order == "least" else written


def tokens(batch):
    return torch.cat((batch.tokens, batch.target[:, -1:]), 1).tolist()


def pairs(task, count=200):
    rng = random.Random(0)
    numbers = [
        [rng.randrange(10 ** rng.randint(1, task.digits)) for _ in "ab"] for _ in range(count)
    ]
    return [*numbers, [0, 0], [task.size - 1] * 2, [0, task.size - 1]]


def test_the_example_of_the_paper():
    task = Multiplication(4)
    [row] = tokens(task.written(torch.tensor([73]), torch.tensor([45])))
    text = "".join(f" { {10: '*', 11: '='}.get(token, token) }" for token in row)
    assert text == " 3 7 0 0 * 5 4 0 0 = 5 8 2 3 0 0 0 0"


@pytest.mark.parametrize("name", TASKS)
def test_products_are_those_of_python(name):
    task = TASKS[name]
    given = pairs(task)
    batch = task.written(*torch.tensor(given).unbind(1))
    signs = {10: "*", 11: "="}
    found = ["".join(signs.get(token, str(token)) for token in row) for row in tokens(batch)]
    for (a, b), row in zip(given, found, strict=True):
        factors = [text(number, task.padding, task.order) for number in (a, b)]
        assert row == f"{factors[0]}*{factors[1]}={text(a * b, task.product, task.order)}"


@pytest.mark.parametrize("name", TASKS)
def test_only_the_product_counts_and_what_follows_is_the_target(name):
    task = TASKS[name]
    batch = task.written(*torch.tensor(pairs(task)).unbind(1))
    assert torch.equal(batch.target[:, :-1], batch.tokens[:, 1:])
    asked = 2 * task.padding + 1  # the position of "="
    assert (batch.tokens[:, asked] == 11).all()
    assert not batch.weight[:, :asked].any()
    assert torch.equal(batch.weight[:, asked:], torch.ones(len(batch.weight), task.product))
    assert task.vocabulary == 12 > batch.tokens.max()


@pytest.mark.parametrize("name", TASKS)
def test_text_and_tokens_are_translated(name):
    task = TASKS[name]
    for (a, b), row in zip(
        pairs(task), tokens(task.written(*torch.tensor(pairs(task)).T)), strict=True
    ):
        assert task.decode(row) == f"{a}*{b}={a * b}"
        assert task.encode(f"{a} * {b} = {a * b}") == row
        assert task.encode(f"{a}*{b}=") == row[: 2 * task.padding + 2]
        assert task.decode(row[2 * task.padding + 2 :]) == str(a * b)


@pytest.mark.parametrize("wrong", ["1000*3=", "3*4=1000000", "3+4=", "x", "-3*2="])
def test_what_is_no_token_is_refused(wrong):
    with pytest.raises(ValueError, match=r"Multiplication cannot write .*; give a text such as"):
        Multiplication(3).encode(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digits": 0}, "digits=0 is not the length of a factor; use 1 to 9"),
        ({"digits": 10}, "digits=10 is not the length of a factor; use 1 to 9"),
        ({"digits": 4, "padding": 3}, "digits=4 .* do not fit into padding=3 .* at least 4 and 8"),
        ({"digits": 4, "product": 7}, "digits=4 .* product=7; use at least 4 and 8"),
    ],
)
def test_digits_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=f"Multiplication: .*{message}"):
        Multiplication(**options)


def test_a_square_can_be_left_out_as_of_any_equation():
    data = EquationData(Multiplication(1), Square((4, 4), 1))
    hole = data.dataset("val").__getitems__(list(range(9)))
    found = {data.decode(row) for row in tokens(hole)}
    assert found == {f"{a}*{b}={a * b}" for a in (3, 4, 5) for b in (3, 4, 5)}
    assert len(data.dataset("train")) == 91
    assert data.spec.length == 5
