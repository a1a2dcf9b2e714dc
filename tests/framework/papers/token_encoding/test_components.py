"""Principal components are those of the singular value decomposition."""

import torch

from framework.papers.token_encoding.components import principal_components


def test_components_are_those_of_the_svd():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=generator) * torch.arange(1, 7) + 10
    state = torch.get_rng_state()
    scores, shares = principal_components(rows, 3)
    assert torch.equal(state, torch.get_rng_state())
    centered = rows.double() - rows.double().mean(0)
    u, s, _ = torch.linalg.svd(centered, full_matrices=False)
    torch.testing.assert_close(scores.abs(), (u * s)[:, :3].abs(), rtol=0, atol=1e-8)
    expected = s.square() / s.square().sum()
    torch.testing.assert_close(torch.tensor(shares, dtype=torch.float64), expected[:3])
    again, _ = principal_components(rows.flip(0), 3)
    torch.testing.assert_close(again.flip(0), scores, rtol=0, atol=1e-8)  # signs, too
