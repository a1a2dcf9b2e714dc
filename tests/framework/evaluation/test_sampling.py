"""Sampling distributions against loops over the sorted tokens."""

import math

import pytest
import torch

from framework.evaluation.generation import Sampling

torch.manual_seed(0)
LOGITS = torch.randn(5, 11, dtype=torch.float64) * 2


def by_hand(row, sampling):
    """Applies temperature, then top-k, then top-p, one token after the other."""
    weights = [math.exp(x / sampling.temperature) for x in row]
    order = sorted(range(len(row)), key=lambda k: -row[k])[: sampling.top_k]
    total = sum(weights[k] for k in order)
    kept, reached = [], 0.0
    for k in order:
        if reached >= sampling.top_p:
            break
        kept.append(k)
        reached += weights[k] / total
    mass = sum(weights[k] for k in kept)
    return [weights[k] / mass if k in kept else 0.0 for k in range(len(row))]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.6),
        Sampling(top_k=3),
        Sampling(top_k=1),
        Sampling(top_p=0.8),
        Sampling(top_p=1e-6),
        Sampling(temperature=1.7, top_k=6, top_p=0.7),
    ],
    ids=str,
)
def test_distribution_equals_a_loop(sampling):
    expected = torch.tensor(
        [by_hand(row, sampling) for row in LOGITS.tolist()], dtype=torch.float64
    )
    torch.testing.assert_close(sampling.distribution(LOGITS), expected)


def test_zero_temperature_takes_the_likeliest():
    distribution = Sampling(temperature=0.0).distribution(LOGITS)
    assert distribution.argmax(-1).tolist() == LOGITS.argmax(-1).tolist()
    assert distribution.max(-1).values.tolist() == [1.0] * 5


@pytest.mark.parametrize(
    "wrong", [{"length": 0}, {"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_impossible_options_are_one_sentence(wrong):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"Sampling .*{name}={value}"):
        Sampling(**wrong)
