"""Prompts say what is true of their numbers, and are the same whenever they are asked for."""

import re

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

from framework.data import ByteTokenizer
from framework.tasks.random_numbers import DescribedNormals, PromptData, PromptTokenData
from framework.tasks.random_numbers.normals import NORMALS

PUBLISHED = {(-0.55, 0.10), (-0.03, 0.24), (0.42, 0.16), (0.55, 0.10)}
SOURCE = DescribedNormals(train=24)


def truncated(mean, std):
    return truncnorm((-1 - mean) / std, (1 - mean) / std, mean, std)


def test_sentences_go_around_the_published_distributions_and_show_up_to_nine_numbers():
    prompts = DescribedNormals().prompts("train")
    assert len(prompts) == 256
    assert set(NORMALS) == PUBLISHED
    counts = set()
    for k, (text, number) in enumerate(prompts):
        sentence, _, shown = text.partition(":")
        assert "normal distribution" in sentence
        assert "between -1 and 1" in sentence
        described = [float(x) for x in re.findall(r"-?\d\.\d\d", sentence)]
        assert tuple(described) == NORMALS[k % 4]
        assert re.fullmatch(r"( -?\d\.\d\d,)*", shown)
        counts.add(shown.count(","))
        assert -1 <= number <= 1
    assert counts == set(range(10))
    assert [text for text, _ in DescribedNormals().prompts("test")] != [
        p.text for p in prompts[:4]
    ]


def test_numbers_follow_the_distribution_that_is_described():
    prompts = DescribedNormals(train=2000, shown=0).prompts("train")
    for k, distribution in enumerate(NORMALS):
        numbers = [prompt.number for prompt in prompts[k::4]]
        assert kstest(numbers, truncated(*distribution).cdf).pvalue > 0.01


def test_the_truth_is_a_truncated_normal_distribution():
    prompts = SOURCE.prompts("test")
    distribution = SOURCE.truth([prompt.text for prompt in prompts])
    values = torch.linspace(-1.2, 1.2, 25, dtype=torch.float64)
    for k, (mean, std) in enumerate(NORMALS):
        expected = truncated(mean, std)
        at = values.view(-1, 1, 1).expand(-1, 4, 1)
        np.testing.assert_allclose(distribution.cdf(at)[:, k, 0], expected.cdf(values), atol=1e-6)
        np.testing.assert_allclose(
            distribution.log_prob(at)[:, k, 0].exp(), expected.pdf(values), rtol=1e-4, atol=1e-6
        )


def test_prompts_depend_on_the_seed_alone():
    assert SOURCE.prompts("train") == DescribedNormals(train=24).prompts("train")
    assert SOURCE.prompts("train") != DescribedNormals(train=24, seed=1).prompts("train")


def test_batches_are_padded_on_the_left_and_keep_the_number():
    data = PromptData(SOURCE)
    batch = data.dataset("train").__getitems__([5, 0, 7])
    prompts = SOURCE.prompts("train")
    assert data.spec.support == SOURCE.support
    assert data.spec.size == ByteTokenizer.size
    for row, k in enumerate([5, 0, 7]):
        length = len(prompts[k].text) + 1
        assert (
            batch.mask[row].tolist() == [False] * (len(batch.mask[row]) - length) + [True] * length
        )
        assert batch.tokens[row, -length] == ByteTokenizer.end
        assert bytes(batch.tokens[row, 1 - length :].tolist()).decode() == prompts[k].text
        assert batch.target[row].item() == pytest.approx(prompts[k].number)
    assert data.spec.length >= batch.tokens.shape[1]
    assert data.prompt_tokens(batch)[0] == [ByteTokenizer.end, *prompts[5].text.encode()]
    assert data.truth(batch).cdf(torch.zeros(3, 1)).shape == (3, 1)


def test_only_the_written_number_counts():
    data = PromptTokenData(SOURCE)
    batch = data.dataset("train").__getitems__([2, 3, 9])
    prompts = SOURCE.prompts("train")
    for row, k in enumerate([2, 3, 9]):
        counted = batch.target[row][batch.weight[row] > 0].tolist()
        assert bytes(counted).decode() == f" {prompts[k].number:.2f},"
        assert data.decode(data.prompt_tokens(batch)[row]) == prompts[k].text
    assert data.spec.bytes_per_token == 1.0
    together = PromptData(SOURCE).truth(
        PromptData(SOURCE).dataset("train").__getitems__([2, 3, 9])
    )
    torch.testing.assert_close(data.truth(batch).normal.mean, together.normal.mean)


def test_validation_looks_at_the_prompts_for_testing():
    data = PromptData(SOURCE)
    splits = [
        data.dataset(split).__getitems__([0, 1, 2, 3]) for split in ("val", "test", "predict")
    ]
    assert all(torch.equal(split.tokens, splits[0].tokens) for split in splits)


def test_mistakes_are_one_sentence():
    with pytest.raises(ValueError, match=r"DescribedNormals: train=0, .* at least one prompt"):
        DescribedNormals(train=0)
    with pytest.raises(ValueError, match=r"the text 'hello' describes no normal distribution"):
        SOURCE.truth(["hello"])
