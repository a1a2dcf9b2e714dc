"""Cached generation against regeneration of the whole text at every token."""

import pytest
import torch

from components.backbones.decoder import Decoder
from components.data import TokenBatch
from framework.evaluation.generation import Sampling, generate
from tests.framework.evaluation.fakes import Logits, Tokens

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
        distribution = sampling.distribution(head(hidden).logits[:, -1].float())
        tokens = torch.cat(
            [tokens, torch.multinomial(distribution, 1, generator=generator)], dim=1
        )
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
        parameter.mul_(8)  # what comes first must matter for what is likeliest
    together = generate(*parts, tokens, sampling, mask=mask)
    for row, first in enumerate((0, 2, 5)):
        alone = generate(*parts, tokens[row : row + 1, first:], sampling)
        assert together[row].tolist() == alone[0].tolist()
    assert generate(*parts, tokens, sampling).tolist() != together.tolist()
