"""The model that writes numbers: a model that knows what to write, and one that does not."""

import pytest
import torch

from components.heads import LinearHead
from components.stems import TokenStem
from framework.evaluation.generation import Sampling, aligned_prompts
from framework.tasks.random_numbers import DescribedNormals, PromptTokenData, PromptWriter
from framework.tasks.random_numbers.histograms import cell_fractions, edges
from framework.tasks.random_numbers.module import number
from tests.framework.modules.parts import options, train, trainer

SHORT = Sampling(length=6, top_p=0.95)


def data():
    return PromptTokenData(DescribedNormals(train=8, shown=2), batch_size=4)


def model(**changes):
    settings = {"samples": 5, "sampling": SHORT, **changes}
    return PromptWriter(**options(data().spec, TokenStem, LinearHead), **settings)


class Knowing(PromptWriter):
    """Writes what it is told to."""

    def _write(self, batch):
        texts = [" 0.10,", "-.25 and 3", "0.10", "none", "1e9"]
        return [texts for _ in batch.tokens]


def test_what_is_written_is_counted():
    module = Knowing(**options(data().spec, TokenStem, LinearHead))
    metrics = train(module, data())
    numbers = torch.tensor([0.10, -0.25, 0.10, float("nan"), 1.0])
    test = data().dataset("test").__getitems__([0, 1, 2, 3])
    distribution = data().truth(test)
    borders = edges(data().source.support, 20)
    true = distribution.cdf(borders.view(-1, 1, 1).expand(-1, 4, 1)).diff(dim=0)[..., 0].T
    expected = (
        (cell_fractions(numbers, borders) - true).abs().sum(-1) + 2 / 5
    ) / 2  # two are nowhere
    assert metrics["val/tvd"] == pytest.approx(expected.mean().item(), rel=1e-5)
    assert metrics["val/unique"] == 3
    assert metrics["val/unread"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" -0.43, 0.2", -0.43), (".5", 0.5), ("+1.", 1.0), ("mean 12 of", 12.0), ("7-8", 7.0)],
)
def test_the_first_number_is_read(text, expected):
    assert number(text) == expected


def test_texts_are_cut_before_the_number_and_end_together():
    batch = data().dataset("train").__getitems__([0, 3, 5])
    tokens, mask = aligned_prompts(batch)
    for row, (text, _) in enumerate(data().prompts["train"][k] for k in (0, 3, 5)):
        assert data().decode(tokens[row][mask[row]].tolist()) == text
        assert mask[row].tolist() == sorted(mask[row].tolist())


def test_untrained_it_writes_little_that_can_be_read():
    module = model()
    metrics = train(module, data())
    assert 0 <= metrics["val/tvd"] <= 1
    rows = [row for rows in trainer().predict(module, data()) for row in rows]
    assert [row["prompt"] for row in rows] == [p.text for p in data().prompts["test"]]
    assert all(len(row["texts"]) == len(row["numbers"]) == 5 for row in rows)
    unread = sum(x != x for row in rows for x in row["numbers"]) / 20
    assert metrics["val/unread"] == pytest.approx(unread)


def test_options_survive_a_checkpoint(tmp_path):
    module, path = model(samples=3), tmp_path / "model.ckpt"
    runner = trainer(max_steps=1)
    runner.fit(module, data())
    runner.save_checkpoint(path)
    loaded = PromptWriter.load_from_checkpoint(path, weights_only=True)
    assert (loaded.samples, loaded.sampling) == (3, SHORT)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match=r"PromptWriter compares nothing with samples=5, cells=0"):
        model(cells=0)
