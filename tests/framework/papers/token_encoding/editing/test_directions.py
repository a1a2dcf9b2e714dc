"""Directions: the mean shift that each promises, the least variance, and what each refuses."""

from dataclasses import replace

import pytest
import torch

from framework.papers.token_encoding.editing.directions import DIRECTIONS, RIDGE
from tests.framework.papers.token_encoding.editing.readouts import know, make

HIDDEN = make()[1].hidden
KNOWN = know(make()[1])


@pytest.mark.parametrize("name", ["whiten", "mlr-gain", "hbar", "bias"])
def test_the_mean_shift_is_one_nat(name):
    push = DIRECTIONS[name](KNOWN)
    assert push.profile(HIDDEN).mean().item() == pytest.approx(1, abs=1e-12)
    assert push.gain(KNOWN.mean) == pytest.approx(1, abs=1e-12)


def test_the_rule_of_the_paper_solves_its_linear_model_by_the_smallest_change():
    slope, push = KNOWN.slope(), DIRECTIONS["mlr"](KNOWN)
    smallest = -torch.linalg.pinv(slope[None])[:, 0]
    torch.testing.assert_close(push.row, smallest, rtol=1e-12, atol=0)
    gain = push.gain(KNOWN.mean)
    assert gain == pytest.approx(float(-(slope @ KNOWN.mean) / (slope @ slope)), abs=1e-12)
    assert gain < 0.9  # shorter than it promises, for the slope is longer than the mean


def test_whiten_varies_least_of_all_changes_with_that_mean_shift():
    push = DIRECTIONS["whiten"](KNOWN)
    ridge = RIDGE * KNOWN.covariance.trace() / len(KNOWN.mean)

    def cost(row):
        return float(row @ KNOWN.covariance @ row + ridge * row @ row)

    for seed in range(20):
        other = torch.randn(16, generator=torch.Generator().manual_seed(seed)).double()
        other -= (other @ KNOWN.mean) / KNOWN.mean.square().sum() * KNOWN.mean  # same mean shift
        assert cost(push.row + 0.01 * other) > cost(push.row)


def test_coarser_rows_change_less():
    """By the ridge that their rounding asks for, in closed form."""
    push = DIRECTIONS["whiten"](replace(KNOWN, dtype=torch.bfloat16))
    ridge = 2**-7 * KNOWN.covariance.trace() / len(KNOWN.mean)  # bfloat16 has 7 bits
    values, vectors = torch.linalg.eigh(KNOWN.covariance)
    solved = vectors @ ((vectors.T @ KNOWN.mean) / (values + ridge))
    torch.testing.assert_close(push.row, solved / (solved @ KNOWN.mean), rtol=1e-9, atol=0)
    assert push.row.norm() < DIRECTIONS["whiten"](KNOWN).row.norm()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_ln_exact_refuses_rows_that_would_be_rounded(dtype):
    covariance = KNOWN.covariance.clone()
    covariance[0], covariance[:, 0] = 0, 0
    known = replace(KNOWN, covariance=covariance, dtype=dtype)
    with pytest.raises(ValueError, match=f"{dtype} would round"):
        DIRECTIONS["ln-exact"](known)
