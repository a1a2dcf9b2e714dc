"""Sampling against loops over sorted tokens, cached generation against reading all text again."""

import math

import pytest
import torch
from scipy.stats import chisquare

from components.backbones.decoder import Decoder
from components.data import TokenBatch
from framework.evaluation.generation import Sampling, generate
from tests.framework.evaluation.fakes import Logits, Tokens

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


WAYS = [
    Sampling(),
    Sampling(temperature=0.6),
    Sampling(top_k=3),
    Sampling(top_k=1),
    Sampling(top_k=99),
    Sampling(top_p=0.8),
    Sampling(top_p=1e-6),
    Sampling(temperature=1.7, top_k=6, top_p=0.7),
]


@pytest.mark.parametrize("sampling", WAYS, ids=str)
def test_distribution_equals_a_loop(sampling):
    expected = torch.tensor(
        [by_hand(row, sampling) for row in LOGITS.tolist()], dtype=torch.float64
    )
    torch.testing.assert_close(sampling.distribution(LOGITS), expected)


@pytest.mark.parametrize("sampling", [*WAYS, Sampling(temperature=0.0)], ids=str)
def test_draws_have_the_distribution(sampling):
    """By chi-squared; its level of 1e-5 fails by chance once in 10,000 changes of the seed."""
    number = 20_000
    uniform = torch.rand(number, len(LOGITS), dtype=torch.float64)
    drawn = sampling.choose(LOGITS.expand(number, -1, -1), uniform)
    for row, tokens in zip(LOGITS.tolist(), drawn.T, strict=True):
        certain = Sampling(top_k=1)
        exact = by_hand(row, sampling if sampling.temperature else certain)
        expected = number * torch.tensor(exact, dtype=torch.float64)
        found = tokens.bincount(minlength=len(row))
        possible = expected > 0
        assert found[~possible].sum() == 0
        assert chisquare(found[possible], expected[possible]).pvalue > 1e-5 or possible.sum() == 1


def test_equal_randomness_chooses_as_the_summed_distribution_does():
    uniform = torch.rand(400, len(LOGITS), dtype=torch.float64)
    for sampling in WAYS:
        sums = sampling.distribution(LOGITS).cumsum(-1)
        expected = torch.searchsorted(sums, (sums[:, -1] * uniform).T.contiguous(), right=True)
        assert sampling.choose(LOGITS.expand(400, -1, -1), uniform).T.equal(expected)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(top_k=2), Sampling(top_p=0.5), Sampling(temperature=0.0)]
)
def test_what_has_no_probabilities_is_refused(sampling):
    logits = LOGITS.clone()
    logits[2, 4] = torch.nan
    with pytest.raises(ValueError, match="logits are NaN"):
        sampling.choose(logits, torch.rand(5))


def test_zero_temperature_takes_the_most_likely_token():
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


SIZE, DIM = 23, 16


@pytest.fixture
def parts():
    torch.manual_seed(1)
    model = Tokens(SIZE, DIM), Decoder(dim=DIM, depth=2, heads=2), Logits(DIM, SIZE)
    return [part.double().eval().requires_grad_(False) for part in model]


def naively(parts, prompt, sampling, generator):
    """Reads everything again for every token."""
    stem, backbone, head = parts
    tokens = prompt
    for _ in range(sampling.length):
        hidden = backbone(stem(TokenBatch(tokens, tokens, torch.ones(tokens.shape))))
        sums = sampling.distribution(head(hidden).logits[:, -1].float()).double().cumsum(1)
        uniform = torch.rand(len(tokens), 1, generator=generator, dtype=torch.float64)
        new = (sums <= uniform * sums[:, -1:]).sum(1, keepdim=True)
        tokens = torch.cat([tokens, new], dim=1)
    return tokens[:, prompt.shape[1] :]


@pytest.mark.parametrize(
    "sampling", [Sampling(12, 0.0), Sampling(12, 1.0), Sampling(12, 0.8, 5, 0.9)]
)
@pytest.mark.parametrize("prompt", [1, 7])
def test_cache_changes_nothing(parts, sampling, prompt):
    tokens = torch.randint(SIZE, (3, prompt))
    expected = naively(parts, tokens, sampling, torch.Generator().manual_seed(5))
    made = generate(*parts, tokens, sampling, torch.Generator().manual_seed(5))
    assert made.tolist() == expected.tolist()
    assert len({tuple(row) for row in made.tolist()}) > 1


def test_seed_decides(parts):
    prompt = torch.randint(SIZE, (2, 4))
    first, again = (generate(*parts, prompt, Sampling(9, seed=3)) for _ in range(2))
    other = generate(*parts, prompt, Sampling(9, seed=4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_padding_on_the_left_changes_nothing(parts):
    tokens, mask = torch.randint(SIZE, (3, 6)), torch.arange(6) >= torch.tensor([[0], [2], [5]])
    sampling = Sampling(8, temperature=0.0)
    for parameter in parts[1].parameters():
        parameter.mul_(8)  # the first tokens must matter for the most likely one
    together = generate(*parts, tokens, sampling, mask=mask)
    for row, first in enumerate((0, 2, 5)):
        alone = generate(*parts, tokens[row : row + 1, first:], sampling)
        assert together[row].tolist() == alone[0].tolist()
    assert generate(*parts, tokens, sampling).tolist() != together.tolist()
