"""Arms are compared by what their words build: a difference ends in a sentence."""

import json
from itertools import islice

import datasets
import pytest
import torch

import cli
from framework.console import recipes
from framework.data.tokens.module import TokenData
from framework.data.tokens.streaming.module import StreamedTokenData
from framework.data.tokens.streaming.source import StreamedText
from framework.data.tokens.text_files import TextFiles
from framework.data.tokens.tokenizer import ByteTokenizer
from framework.papers.myopic import parity

SMALL = [
    *("--config", "lagged_sines", "--model.backbone.dim=8", "--data.batch_size=4"),
    *("--model.backbone.feedforward.hidden=8", "--trainer.max_steps=40"),
    *("--trainer.accelerator=cpu", "--trainer.logger=false", "--seed_everything=1"),
    *("--data.seed=1", "--trainer.enable_progress_bar=false"),
]


@pytest.fixture(scope="module", autouse=True)
def faces():
    for face in (*cli.FACES, *cli._slices()):
        cli.import_module(face)
    assert recipes.find("myopic/hidden")


@pytest.fixture(scope="module")
def vanilla():
    return parity.terms(SMALL)


@pytest.mark.slow
def test_the_terms_are_those_of_the_built_optimizer_and_schedule(vanilla):
    """Held against numbers of the recipe, the closed form of the schedule and the data."""
    assert vanilla["lr of parameter group 1 of the optimizer"] == pytest.approx(0.003 * 0.01)
    assert vanilla["weight_decay of parameter group 1 of the optimizer"] == 0.01
    assert vanilla["weight_decay of parameter group 2 of the optimizer"] == 0
    rates = vanilla["the learning rate of parameter group 1 at a step"]
    steps = torch.arange(40)
    warm = 0.01 + 0.99 * steps / 30
    cosine = (1 + torch.cos(torch.pi * (steps - 30) / 10)) / 2
    expected = 0.003 * torch.where(steps < 30, warm, cosine)
    torch.testing.assert_close(torch.tensor(rates), expected)
    assert len(set(vanilla["the contents of a training batch"])) == parity.BATCHES
    assert vanilla["the loss term 'huber'"] == "Huber of weight 1.0"


@pytest.mark.slow
def test_myopic_arms_are_trained_alike(vanilla):
    assert parity.terms([*SMALL, "--config", "myopic/hidden"]) == vanilla


@pytest.mark.slow
def test_every_difference_is_named(vanilla, monkeypatch):
    """Of words that all differ, each difference on its own, and of all of them the first."""
    words = {
        "--model.optimizer=torch.optim.Adam": "the optimizer is AdamW there and Adam here",
        "--model.optimizer.lr=0.001": "lr of parameter group 1 of the optimizer is",
        "--model.schedule.warmup=5": "the learning rate of parameter group 1 at a step (number",
        "--data.batch_size=8": "data.batch_size is 4 there and 8 here",
        "--data.seed=2": "the contents of a training batch (number 1) is",
        "--seed_everything=2": "the seed is 1 there and 2 here",
        "--trainer.precision=bf16-mixed": "trainer.precision is 32-true there and bf16-mixed",
        "--trainer.gradient_clip_val=1": "trainer.gradient_clip_val is None there and 1",
        "--model.losses.huber.weight=2": "the loss term 'huber' is Huber of weight 1.0 there",
    }
    other = parity.terms([*SMALL, *words])
    named = [parity.difference({x: y}, {x: other.get(x)}) for x, y in vanilla.items()]
    for sentence in words.values():
        assert any(sentence in found for found in named), sentence
    monkeypatch.setattr(parity, "terms", {"vanilla": vanilla, "other": other}.__getitem__)
    with pytest.raises(
        ValueError, match=r"'vanilla' and 'other' are not trained alike.*: the seed"
    ):
        parity.require_parity({name: name for name in ("vanilla", "other")}, "vanilla")


@pytest.fixture
def lines(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    for number in range(2):
        rows = [json.dumps({"text": f"document {row} of file {number}"}) for row in range(40)]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(rows))
    return str(tmp_path / "*.jsonl")


def test_text_that_is_streamed_is_compared_as_well(lines, monkeypatch):
    """By the batches that a run reads, and without its workers."""
    source = StreamedText("json", data_files={"train": lines}, val="train")

    def data(seed, workers=0):
        options = {"readers": 2, "batch_size": 4, "seed": seed, "num_workers": workers}
        return StreamedTokenData(source, ByteTokenizer(), 8, **options)

    name = "the contents of a training batch"
    expected = tuple(map(parity._digest, islice(data(1).train_dataloader(), parity.BATCHES)))
    assert len(set(expected)) == parity.BATCHES
    assert parity._served(data(1))[name] == expected
    assert parity._served(data(2))[name] != expected
    monkeypatch.setattr(torch.multiprocessing, "Process", None)
    assert parity._served(data(1, workers=2))[name] == expected


def test_batches_of_a_data_set_are_its_examples_in_the_order_of_its_loader(lines):
    data = TokenData(TextFiles(lines), ByteTokenizer(), 8, batch_size=4, num_workers=2)
    examples, order = data.dataset("train"), data.train_dataloader().batch_sampler
    batches = [examples.__getitems__(numbers) for numbers in islice(order, parity.BATCHES)]
    found = parity._served(data)["the contents of a training batch"]
    assert found == tuple(map(parity._digest, batches))


def test_batches_of_other_contents_have_another_name():
    one, same, other = ((torch.arange(4.0) + k,) for k in (0, 0, 1))
    assert parity._digest(one) == parity._digest(same) != parity._digest(other)


def test_what_one_side_lacks_is_a_difference():
    assert parity.difference({}, {"x": 1}) == "x is None there and 1 here"
    assert (
        parity.difference({"x": (1, 2)}, {"x": (1,)})
        == "how often there is x is 2 there and 1 here"
    )
    assert parity.difference({"x": (1, 2)}, {"x": (1, 2)}) == ""
