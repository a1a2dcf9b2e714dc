"""Positions that several processes divide are trained as those of one."""

from functools import partial

import pytest
import torch

from components.backbones import MLP, EncoderDecoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic.attention import Myopic
from components.layers.positions import RelativeBias
from components.layers.spreading import Spread
from framework.execution import Execution
from tests.framework.parallel.training import (
    FANFORMER,
    FANFORMER_BLOCK,
    GPT,
    GPT_BLOCK,
    same,
    train,
)
from tests.ranks import run_ranks

TWO = {"context_parallel_size": 2}


class Alone:
    """One of several processes, which takes what the others would send from what they hold."""

    def __init__(self, rank, parts):
        self.rank, self.processes, self.parts = rank, len(parts), parts

    def gather(self, own):
        return torch.stack(self.parts)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_positions_are_divided_and_put_in_order_again(processes):
    whole = torch.arange(12.0).view(1, 12, 1)
    spreads = [Spread(Alone(rank, [whole] * processes)) for rank in range(processes)]
    parts = [spread.own(whole, 1) for spread in spreads]
    assert {part.shape[1] for part in parts} == {12 // processes}
    seen = torch.stack([part.sum() for part in parts])  # keys that causal queries see
    assert (seen == seen[0]).all()
    assert torch.equal(Spread(Alone(0, parts)).whole(parts[0], 1), whole)


def masks():
    """Yields masks of 12 positions, and their matrices."""
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2], [0] * 6 + [1] * 6])
    padded = torch.ones(12, 12).tril().bool().expand(2, 1, 12, 12)
    return [
        Mask(causal=True),
        Mask(causal=True, window=4),
        Mask(causal=True, documents=documents),
        Mask(causal=True, documents=documents, window=3),
        Mask(padded),
        Mask(torch.randn(1, 4, 12, 12).masked_fill(~padded[:1], -torch.inf)),
        Mask(),
    ]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("cap", [None, 2.0])
def test_attention_of_own_queries_is_that_of_all(number, cap):
    torch.manual_seed(1)
    mask, operator = masks()[number], ScaledDotProduct(cap=cap)
    queries, keys, values = (torch.randn(2, heads, 12, 3) for heads in (4, 2, 2))
    past = KeyValue(keys, values)
    expected = operator(queries, past, past, operator.prepare(mask, 12, queries.device))
    for rank in range(3):
        others = [Spread(Alone(other, [None] * 3)) for other in range(3)]
        parts = [torch.stack([each.own(part, 2) for part in past]) for each in others]
        spread = Spread(Alone(rank, parts))
        mine = KeyValue(*(spread.own(part, 2) for part in past))
        found = spread.attention(operator)(
            spread.own(queries, 2), mine, mine, spread.mask(mask, 12, queries.device)
        )
        torch.testing.assert_close(found, spread.own(expected, 2))


@pytest.mark.slow
def test_two_processes_that_divide_positions_train_as_one():
    windows = partial(FANFORMER, window=[3, None])
    same(2, TWO, backbone=windows, execution=Execution(checkpoint="selective"))


WINDOW = partial(FANFORMER_BLOCK, window=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "options", "changes"),
    [
        (
            4,
            {"context_parallel_size": 4},
            {"backbone": GPT_BLOCK, "execution": Execution(meta=True)},
        ),
        (4, TWO, {"backbone": WINDOW, "execution": Execution(checkpoint=True)}),
        (4, {**TWO, "replicas": 2}, {"backbone": partial(GPT_BLOCK, positions=RelativeBias)}),
        (4, {**TWO, "tensor_parallel_size": 2}, {"backbone": FANFORMER_BLOCK}),
    ],
    ids=["4 of GPT", "2 x 2 of windows", "2 replicas of 2", "2 positions x 2 layers"],
)
def test_parallel_training_is_that_of_one_process(processes, options, changes):
    same(processes, options, **changes)


def test_windows_that_are_not_divisible_are_one_sentence():
    def rank():
        with pytest.raises(ValueError, match=r"=3 cannot divide 8 positions evenly; .* of 6 pos"):
            train(3, context_parallel_size=3)

    run_ranks(rank, 3)


def test_what_is_not_divisible_is_computed_whole_where_nothing_is_trained():
    decoder = GPT()
    states = torch.randn(2, 7, 16)
    expected = decoder(Embedded(states))
    decoder.spread(Alone(0, [None, None]))  # nothing is gathered
    with torch.no_grad():
        torch.testing.assert_close(decoder(Embedded(states)), expected)
        cache = decoder.new_cache(2, 8)
        first = decoder(Embedded(states[:, :4]), cache)
        rest = decoder(Embedded(states[:, 4:]), cache)
    torch.testing.assert_close(torch.cat((first, rest), 1), expected)


@pytest.mark.parametrize(
    ("backbone", "sentence"),
    [
        (partial(GPT, attention=Myopic), "Decoder cannot divide positions .* with Myopic; set"),
        (partial(MLP, dim=8, depth=1), "MLP cannot divide positions .* or use Decoder"),
        (partial(EncoderDecoder, dim=8, depth=1, heads=2), "EncoderDecoder cannot divide"),
    ],
)
def test_what_cannot_divide_positions_is_one_sentence(backbone, sentence):
    with pytest.raises(ValueError, match=sentence):
        backbone().spread(Alone(0, [None, None]))
