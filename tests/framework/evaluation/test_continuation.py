"""Prompts that are continued together against each of them read alone, again for every token."""

from functools import partial

import pytest
import torch

from components.backbones.decoder import Decoder
from components.data import TokenBatch
from components.layers.myopic.attention import Myopic
from components.layers.positions import Learned, NoPositions, RelativeBias, Rotary
from framework.evaluation.continuation import continuations, draws
from framework.evaluation.generation import Sampling
from tests.framework.evaluation.fakes import Logits, Tokens

SIZE, DIM, CONTEXT = 23, 16, 12
POSITIONS = [Rotary, NoPositions, RelativeBias, partial(Learned, length=CONTEXT)]
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7, 9], list(range(CONTEXT)), [7, 7]]


def parts(**options):
    torch.manual_seed(1)
    decoder = Decoder(dim=DIM, depth=2, heads=2, **options)
    model = Tokens(SIZE, DIM), decoder, Logits(DIM, SIZE)
    for parameter in decoder.parameters():
        parameter.data.mul_(4)  # every token must matter for the most likely one
    return [part.double().eval().requires_grad_(False) for part in model]


def alone(model, prompt, sampling, uniform):
    """Reads one prompt, all of it again for every token."""
    stem, backbone, head = model
    read, written = list(prompt)[-CONTEXT:], []
    for step in range(sampling.length):
        tokens = torch.tensor([read])
        hidden = backbone(stem(TokenBatch(tokens, tokens, torch.ones(tokens.shape))))
        distribution = sampling.distribution(head(hidden).logits[0, -1].float()).double()
        below = distribution.cumsum(0)
        token = int((below <= uniform[step] * below[-1]).sum())
        written.append(token)
        read.append(token)
        if len(read) > CONTEXT:
            read = read[-(CONTEXT // 2) :]
    return written


def together(model, prompts, sampling, samples=None, **options):
    uniform = draws(prompts, samples or [0] * len(prompts), sampling)
    rows = [torch.tensor(prompt) for prompt in prompts]
    steps = continuations(*model, rows, sampling, uniform, CONTEXT, guesses=True, **options)
    return torch.stack(list(steps), 1).tolist()


@pytest.mark.parametrize("positions", POSITIONS, ids=str)
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(30, 0.0),
        pytest.param(Sampling(30, 0.9, 8, 0.9, seed=5), marks=pytest.mark.slow),
    ],
)
def test_a_row_does_not_depend_on_the_others(positions, sampling):
    """Nor on the cache; also where rows outgrow the context, each at its own step."""
    model = parts(positions=positions)
    rows = together(model, PROMPTS, sampling)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        [uniform] = draws([prompt], [0], sampling)
        assert row == alone(model, prompt, sampling, uniform)
        assert row == together(model, [prompt], sampling)[0]
    assert len({tuple(row[:5]) for row in rows}) > 2


def test_guesses_save_passes_where_a_text_repeats_itself(monkeypatch):
    """The tokens are those of a model that reads one at a time, as the tests above find."""
    monkeypatch.setattr("tests.framework.evaluation.test_continuation.CONTEXT", 100)
    model, sampling, prompt, passes = parts(), Sampling(60, 0.0), PROMPTS[2], []
    model[1].register_forward_hook(lambda *_: passes.append(1))
    [row] = together(model, [prompt], sampling)
    guessed = len(passes)
    assert row == together(model, [prompt, prompt], sampling)[0]  # of two rows none is guessed
    assert len(passes) == guessed + 60
    assert guessed < 30


def test_myopic_attention_reads_no_padding_either():
    model, sampling = parts(attention=Myopic), Sampling(20, 0.0)
    rows = together(model, PROMPTS, sampling)
    assert rows == [together(model, [prompt], sampling)[0] for prompt in PROMPTS]


def test_of_a_long_prompt_the_end_is_read():
    model, sampling = parts(), Sampling(4, 0.0)
    first, last = [3] * 6, list(range(CONTEXT))
    assert together(model, [first + last], sampling) == together(model, [last], sampling)
    cut = together(model, [(first + last)[:CONTEXT]], sampling)
    assert together(model, [first + last], sampling) != cut


def test_a_context_of_one_token():
    model, sampling = parts(), Sampling(6, 0.0)
    rows = [torch.tensor([4])]
    steps = continuations(*model, rows, sampling, draws([[4]], [0], sampling), 1)
    read, expected = 4, []
    for _ in range(6):
        [one] = together(model, [[read]], Sampling(1, 0.0))
        expected += one
        [read] = one
    assert torch.cat(list(steps)).tolist() == expected


@pytest.mark.slow
def test_tokens_beyond_the_vocabulary_are_never_chosen():
    model, sampling = parts(), Sampling(200, 3.0)
    rows = together(model, PROMPTS, sampling, size=5)
    assert {token for row in rows for token in row} == set(range(5))


def test_draws_depend_on_seed_prompt_and_sample_alone():
    sampling = Sampling(6, seed=3)
    first = draws([[1, 2], [3]], [0, 0], sampling)
    assert torch.equal(draws([[3]], [0], sampling)[0], first[1])
    others = draws([[1, 2], [1, 2], [1, 2, 0]], [0, 1, 0], Sampling(6, seed=-3))
    rows = [tuple(row) for row in (*first.tolist(), *others.tolist())]
    assert len(set(rows)) == 5
    assert all(0 <= number < 1 for row in rows for number in row)
