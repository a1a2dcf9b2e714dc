"""Parts of a pretrained model, put together, are that model; padding and caches change nothing."""

from functools import partial

import pytest
import torch
from torch import nn

from components.interfaces import Embedded
from components.supports import Interval, Tokens
from framework.data.tokens.vocabularies import restore
from framework.evaluation.continuation import continuations
from framework.evaluation.generation import Sampling
from framework.pretrained import (
    Frozen,
    LowRank,
    PretrainedDecoder,
    PretrainedEmbedding,
    PretrainedHead,
    PretrainedTokenizer,
)
from tests.framework.evaluation import fakes

SIZE, DIM = 257, 32


@pytest.fixture
def tokens():
    return torch.randint(SIZE, (3, 7), generator=torch.Generator().manual_seed(1))


def parts(path, **options):
    embedding = PretrainedEmbedding(SIZE, DIM, path)
    return embedding, PretrainedDecoder(path, **options).eval().requires_grad_(False)


def read(path, kind="AutoModelForCausalLM", **options):
    import transformers

    return getattr(transformers, kind).from_pretrained(path, **options).eval()


def test_together_they_are_the_model(tiny, tokens):
    embedding, decoder = parts(tiny)
    head = PretrainedHead(DIM, Tokens(SIZE), tiny)
    assert decoder.dim == DIM
    with torch.no_grad():
        logits = head(decoder(Embedded(embedding(tokens)))).logits
        torch.testing.assert_close(logits, read(tiny)(tokens).logits)


def test_another_architecture_with_tied_embeddings(tmp_path, tokens):
    import transformers

    config = transformers.GPT2Config(
        vocab_size=SIZE, n_positions=16, n_embd=DIM, n_layer=2, n_head=2
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    embedding, decoder = parts(str(tmp_path))
    head = PretrainedHead(DIM, Tokens(SIZE), str(tmp_path))
    with torch.no_grad():
        logits = head(decoder(Embedded(embedding(tokens)))).logits
        torch.testing.assert_close(logits, read(str(tmp_path))(tokens).logits)
    assert len(decoder.blocks) == 2


def test_padding_changes_nothing(tiny, tokens):
    embedding, decoder = parts(tiny)
    mask = torch.arange(7) >= torch.tensor([[0], [3], [6]])
    together = decoder(Embedded(embedding(tokens), mask))
    for row, first in enumerate((0, 3, 6)):
        alone = decoder(Embedded(embedding(tokens[row : row + 1, first:])))
        torch.testing.assert_close(together[row, first:], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
def test_a_cache_changes_nothing_also_when_it_is_repeated(tiny, tokens, padded):
    embedding, decoder = parts(tiny)
    mask = torch.arange(7) >= torch.tensor([[0], [3], [2]]) if padded else None
    expected = decoder(Embedded(embedding(tokens), mask))
    cache = decoder.new_cache(3, 7)
    decoder(Embedded(embedding(tokens[:, :4]), None if mask is None else mask[:, :4]), cache)
    copied = cache.repeat(2)
    for t in range(4, 7):
        hidden = decoder(Embedded(embedding(tokens[:, t : t + 1])), cache)
        torch.testing.assert_close(hidden[:, 0], expected[:, t], rtol=1e-4, atol=1e-5)
    twice = embedding(tokens[:, 4:]).repeat_interleave(2, 0)
    hidden = decoder(Embedded(twice), copied)
    torch.testing.assert_close(hidden[1::2], expected[:, 4:], rtol=1e-4, atol=1e-5)


def test_a_text_continues_as_two_equal_ones(tiny):
    """Of two nothing is guessed, and so nothing dropped from the cache of transformers."""
    torch.manual_seed(1)
    _, decoder = parts(tiny)
    for parameter in decoder.parameters():
        parameter.mul_(8)  # every token must matter for the most likely one
    model = fakes.Tokens(SIZE, DIM), decoder, fakes.Logits(DIM, SIZE)
    prompt, sampling = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6] * 2), Sampling(40, 0.0)
    alone, both = (
        torch.stack([*continuations(*model, rows, sampling, draw, 64, guesses=True)], 1)
        for rows, draw in (([prompt], torch.zeros(1, 40)), (2 * [prompt], torch.zeros(2, 40)))
    )
    assert torch.equal(alone[0], both[0])


def test_the_first_blocks_are_kept(tiny, tokens):
    embedding, decoder = parts(tiny, depth=1)
    whole = read(tiny, num_hidden_layers=1).model(tokens).last_hidden_state
    torch.testing.assert_close(decoder(Embedded(embedding(tokens))), whole)
    assert len(decoder.blocks) == 1
    with pytest.raises(ValueError, match="depth=3 blocks cannot be kept of 2"):
        PretrainedDecoder(tiny, depth=3)


def test_half_the_memory(tiny, tokens):
    embedding, decoder = parts(tiny, dtype="bfloat16")
    assert {p.dtype for p in decoder.parameters()} == {torch.bfloat16}
    hidden = decoder(Embedded(embedding(tokens)))
    assert hidden.dtype == torch.float32
    _, exact = parts(tiny)
    torch.testing.assert_close(hidden, exact(Embedded(embedding(tokens))), rtol=0.1, atol=0.1)
    tuned = PretrainedDecoder(tiny, tuning=LowRank, dtype="bfloat16")
    assert {p.dtype for p in tuned.parameters() if p.requires_grad} == {torch.float32}
    torch.testing.assert_close(tuned.eval()(Embedded(embedding(tokens))), hidden)


def test_low_rank_additions_start_at_the_model_and_are_all_that_is_trained(tiny, tokens):
    embedding = PretrainedEmbedding(SIZE, DIM, tiny)
    decoder = PretrainedDecoder(
        tiny, tuning=partial(LowRank, rank=2, targets=["q_proj", "v_proj"])
    )
    _, plain = parts(tiny)
    states = Embedded(embedding(tokens))
    torch.testing.assert_close(decoder.eval()(states), plain(states))
    trained = {name: p for name, p in decoder.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trained.values()) == 2 * 2 * 2 * (
        DIM + DIM
    )  # Hu et al., A and B
    assert set(decoder.state_dict()) == set(trained)
    decoder.train()(states).square().sum().backward()
    assert all(p.grad is not None for p in trained.values())
    assert all(p.grad is None for p in decoder.parameters() if not p.requires_grad)


def test_an_addition_is_the_product_of_two_matrices(tiny):
    decoder = PretrainedDecoder(tiny, tuning=partial(LowRank, rank=2, alpha=6, dropout=0.0))
    layer = decoder.blocks[0].self_attn.q_proj
    low, high = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    nn.init.normal_(high)
    inputs = torch.randn(5, DIM)
    expected = inputs @ (layer.base_layer.weight + 6 / 2 * high @ low).T
    torch.testing.assert_close(layer(inputs), expected)


def test_a_frozen_model_is_in_no_state_dict_and_loads_what_it_wrote(tiny):
    for module in (
        PretrainedDecoder(tiny, tuning=Frozen),
        PretrainedEmbedding(SIZE, DIM, tiny),
        PretrainedHead(DIM, Tokens(SIZE), tiny),
    ):
        before = {name: p.clone() for name, p in module.named_parameters()}
        assert module.state_dict() == {}
        module.load_state_dict({})
        assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    assert set(PretrainedHead(DIM, Tokens(SIZE), tiny, frozen=False).state_dict()) == {
        "projection.weight"
    }
    assert PretrainedEmbedding(SIZE, DIM, tiny, frozen=False).weight.requires_grad


def test_the_tokenizer_gives_back_what_it_reads(tiny):
    vocabulary = PretrainedTokenizer(tiny).fit("", list)
    texts = ["with mean -0.55: -0.43,", "é ü 🙂  two  spaces ."]
    ids = vocabulary.encode(texts)
    assert [vocabulary.decode([vocabulary.end, *row]) for row in ids] == texts
    assert [len(row) for row in ids] == [len(text.encode()) for text in texts]
    assert vocabulary.size == SIZE
    assert vocabulary.digest() == PretrainedTokenizer(tiny).fit("", list).digest()


def test_shapes_are_enough_where_tensors_are_empty(tiny):
    with torch.device("meta"):
        decoder = PretrainedDecoder(tiny, tuning=LowRank)
        embedding = PretrainedEmbedding(SIZE, DIM, tiny)
    real = PretrainedDecoder(tiny, tuning=LowRank)
    assert {p.device.type for p in (*decoder.parameters(), *embedding.parameters())} == {"meta"}
    shapes = {name: p.shape for name, p in decoder.named_parameters()}
    assert shapes == {name: p.shape for name, p in real.named_parameters()}


def test_a_support_without_tokens_is_refused(tiny):
    with pytest.raises(
        ValueError, match=r"PretrainedHead predicts tokens, .* an? Interval; choose"
    ):
        PretrainedHead(DIM, Interval(-1.0, 1.0), tiny)
    with pytest.raises(ValueError, match=r"has 257 tokens of width 32, the data have 300 tokens"):
        PretrainedEmbedding(300, DIM, tiny)
    with pytest.raises(ValueError, match=r"257 tokens and the backbone width 16; give tokenizer"):
        PretrainedHead(16, Tokens(SIZE), tiny)


def test_a_context_is_refused(tiny):
    decoder = PretrainedDecoder(tiny)
    states = torch.zeros(1, 2, DIM)
    with pytest.raises(ValueError, match="cannot see the context of 2 positions"):
        decoder(Embedded(states, context=states))


def test_additions_to_nothing_are_refused(tiny):
    with pytest.raises(ValueError, match=r"no module called 'c_attn' .* among \['down_proj'"):
        PretrainedDecoder(tiny, tuning=partial(LowRank, targets=["c_attn"]))
    with pytest.raises(ValueError, match=r"LowRank: rank=0, dropout=0\.05 train nothing"):
        LowRank(rank=0)


@pytest.mark.parametrize("size", [SIZE, 200])
def test_rows_are_those_of_known_tokens(tiny, size):
    head = PretrainedHead(DIM, Tokens(size), tiny)
    features, weight, bias = head.output_embedding()
    hidden = torch.randn(3, DIM)
    assert (weight.shape, bias) == ((size, DIM), None)
    torch.testing.assert_close(features(hidden) @ weight.T, head(hidden).logits)


def test_the_bias_of_such_a_model_is_a_part_of_it(tiny):
    """GPT-J has one."""
    head = PretrainedHead(DIM, Tokens(200), tiny)
    head.projection.bias = nn.Parameter(torch.randn(SIZE))
    features, weight, bias = head.output_embedding()
    hidden = torch.randn(3, DIM)
    torch.testing.assert_close(features(hidden) @ weight.T + bias, head(hidden).logits)


def test_the_tokenizer_reads_as_transformers_does(tiny):
    """But for special tokens, which are text where a text spells them."""
    from transformers import AutoTokenizer

    vocabulary, theirs = (
        PretrainedTokenizer(tiny).fit("", list),
        AutoTokenizer.from_pretrained(tiny),
    )
    text = "with mean -0.55: <|endoftext|> é ü 🙂"
    expected = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert vocabulary.encode([text]) == [expected]
    assert vocabulary.end not in expected
    again = restore(vocabulary.describe())
    assert again.encode([text]) == [expected]
