"""The language model against brute force over its own predictions, with real parts."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from matplotlib.figure import Figure

from components.backbones import EncoderDecoder
from components.backbones.decoder import Decoder
from components.data import PairBatch, TokenBatch, TokenSpec
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.layers.positions import Learned
from components.stems import PairStem, TokenStem
from components.supports import Tokens
from framework.data.tokens.module import Prompts
from framework.evaluation.generation import Sampling
from framework.modules import LanguageModel
from tests.framework.modules.parts import FixedData, options, train, trainer
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(13), length=10, bytes_per_token=2.5)


def batch():
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(13, (7, 11), generator=generator)
    weight = (torch.rand(7, 10, generator=generator) > 0.3).float()
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], weight)


def model(head=LinearHead, **changes):
    return LanguageModel(**options(SPEC, TokenStem, head), **changes)


@pytest.mark.parametrize("head", [LinearHead, partial(FourierHead, frequencies=4)])
def test_metrics_equal_brute_force(head):
    module, data = model(head), FixedData(batch())
    metrics = train(module, data)
    known = batch()
    with torch.no_grad():
        log_probs = module.eval()(known).log_probs
    nll, hits, count = 0.0, 0.0, 0.0
    for b in range(7):
        for t in range(10):
            if known.weight[b, t] > 0:
                nll -= log_probs[b, t, known.target[b, t]].item()
                hits += log_probs[b, t].argmax() == known.target[b, t]
                count += 1
    assert metrics["val/nll"] == pytest.approx(nll / count, rel=1e-5)
    assert metrics["val/accuracy"] == pytest.approx(float(hits) / count)
    assert metrics["val/perplexity"] == pytest.approx(math.exp(nll / count), rel=1e-5)
    assert metrics["val/bits_per_byte"] == pytest.approx(nll / count / math.log(2) / 2.5, rel=1e-5)
    assert metrics["val/out_of_support"] == 0


def test_separated_documents_are_predicted_as_if_alone():
    """With parts of a recipe: by the losses of each document, cut out of the window."""
    spec = replace(SPEC, separator=0)
    module = LanguageModel(**options(spec, TokenStem, LinearHead))
    module.configure_model()
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(5, (7, 11), generator=generator)
    known = TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(7, 10))
    with torch.no_grad():
        together = module.eval()(known).log_prob(known.target)
        for row in range(7):
            begins = [0, *(t for t in range(1, 10) if tokens[row, t] == 0), 10]
            for begin, end in pairwise(begins):
                part = TokenBatch(*(field[row : row + 1, begin:end] for field in known))
                alone = module(part).log_prob(part.target)
                torch.testing.assert_close(together[row : row + 1, begin:end], alone)
        assert not torch.equal(module(known).logits, model_of(SPEC, module)(known).logits)


def model_of(spec, module):
    """The same parameters for other facts of the data."""
    other = LanguageModel(**options(spec, TokenStem, LinearHead))
    other.configure_model()
    other.load_state_dict(module.state_dict())
    return other.eval()


def test_a_backbone_that_cannot_separate_documents_is_refused():
    made = options(replace(SPEC, separator=0), TokenStem, LinearHead)
    made["backbone"] = partial(EncoderDecoder, 8, 1, 2)
    with pytest.raises(ValueError, match=r"EncoderDecoder cannot keep the documents .* choose De"):
        LanguageModel(**made).configure_model()


class Letters(FixedData):
    """Token k is the k-th letter."""

    def encode(self, text):
        return [ord(letter) - 97 for letter in text]

    def decode(self, ids):
        return "".join(chr(97 + token) for token in ids)


def likeliest(module, read, length):
    """Reads everything again for every token, alone."""
    read, written = list(read), []
    for _ in range(length):
        seen = torch.tensor([read])
        with torch.no_grad():
            distribution = module(TokenBatch(seen, seen, torch.ones(seen.shape)))
        written.append(int(distribution.logits[0, -1].argmax()))
        read.append(written[-1])
    return written


@pytest.mark.parametrize("shown", [[10] * 7, [10, 10, 3, 7, 10, 1, 5]])
def test_prediction_continues_the_beginning_of_each_window(shown):
    """Windows end with padding, which is not read."""
    weight = (torch.arange(10) < torch.tensor(shown).unsqueeze(1)).float()
    known = batch()._replace(weight=weight)
    module, data = model(sampling=Sampling(length=4, temperature=0.0)), Letters(known)
    rows = [row for rows in trainer().predict(module, data) for row in rows]
    assert len(rows) == 7
    for row, window, count in zip(rows, known.tokens.tolist(), shown, strict=True):
        prompt = window[: count - 4] if count > 4 else window[:count]
        assert row["prompt"] == data.decode(prompt)
        assert row["text"] == data.decode(row["tokens"])
        assert row["tokens"] == likeliest(module, prompt, 4)


def test_prediction_continues_prompts_one_by_one():
    prompts = Prompts([[3, 1, 4], [1], [5, 9, 2, 6, 5, 3]]).__getitems__([0, 1, 2])
    module, data = model(sampling=Sampling(length=4, temperature=0.0)), Letters(prompts)
    rows = [row for rows in trainer().predict(module, data) for row in rows]
    assert [row["prompt"] for row in rows] == ["dbe", "b", "fjcgfd"]
    for row in rows:
        assert row["tokens"] == likeliest(module, data.encode(row["prompt"]), 4)


def test_the_second_text_of_a_pair_is_written_from_its_start_token():
    source = torch.tensor([[3, 1, 4, 1], [5, 9, 0, 0]])
    written = torch.tensor([[7, 2, 2], [7, 8, 1]])
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    given = PairBatch(written, written.roll(-1, 1), torch.ones(2, 3), source, mask)
    backbone = partial(EncoderDecoder, dim=16, depth=1, heads=2)
    module = LanguageModel(
        **options(SPEC, PairStem, LinearHead, backbone), sampling=Sampling(4, temperature=0.0)
    )
    rows = [row for rows in trainer().predict(module, Letters(given)) for row in rows]
    assert [row["prompt"] for row in rows] == ["dbeb", "fj"]
    for pair in range(2):
        read = given.tokens[pair : pair + 1, :1]
        for token in rows[pair]["tokens"]:
            seen = PairBatch(read, read, read.float(), *(x[pair : pair + 1] for x in given[3:]))
            with torch.no_grad():
                assert module(seen).logits[0, -1].argmax() == token
            read = torch.cat((read, torch.tensor([[token]])), 1)


def test_prediction_fits_a_table_of_learned_positions():
    backbone = partial(
        Decoder, dim=16, depth=1, heads=2, positions=partial(Learned, length=SPEC.length)
    )
    module = LanguageModel(
        **options(SPEC, TokenStem, LinearHead, backbone), sampling=Sampling(length=9)
    )
    rows = trainer().predict(module, FixedData(batch()))[0]
    assert [len(row["tokens"]) for row in rows] == [9, 9]
    assert rows[0]["prompt"] == str(batch().tokens[0, 0].item()), "numbers where nothing decodes"


def test_figures_show_the_first_text():
    module, data = model(), FixedData(batch())
    train(module, data)
    figures = module.figures(batch())
    assert isinstance(figures["next_tokens"], Figure)
    assert len(figures["next_tokens"].axes) == 6


def test_options_survive_a_checkpoint(tmp_path):
    module, path = model(sampling=Sampling(length=4, top_k=2)), tmp_path / "model.ckpt"
    runner = trainer(max_steps=1)
    runner.fit(module, FixedData(batch()))
    runner.save_checkpoint(path)
    loaded = LanguageModel.load_from_checkpoint(path, weights_only=True)
    assert loaded.sampling == Sampling(length=4, top_k=2)
    known = batch()
    torch.testing.assert_close(loaded.eval()(known).logits, module.eval()(known).logits)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_texts_on_ranks_are_those_on_one(strategy):
    """Every forward pass of a sharded model is a collective; both ranks make as many."""

    def predict(world):
        torch.manual_seed(0)
        made = {"ddp": "ddp", "fsdp2": ModelParallelStrategy(2, 1)}[strategy]
        runner = trainer(strategy=made if world == 2 else "auto", devices=world)
        module = model(sampling=Sampling(length=5, temperature=0.0))
        rows = runner.predict(module, FixedData(batch()))
        return [row for part in rows for row in part]

    first, second = run_ranks(predict, 2, 2)
    alone = predict(1)

    def order(rows):
        return sorted(rows, key=str)

    assert len(first) != len(second), "batches of different sizes"
    assert order(first + second) == order(alone)
