"""Published tensors give the published logits: names, orders of rows and layouts are theirs."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from framework.exchange.conversion import import_directory
from framework.modules.language import LanguageModel
from tests.framework.exchange.published import GOLDEN, golden, logits, write_hf, write_native

IDS = [3, 1, 4, 1, 5, 9, 2, 6]
CASES = GOLDEN["cases"]


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request):
    return request.param


def module(folder, tmp_path, dtype):
    checkpoint = tmp_path / "model.ckpt"
    torch.save(import_directory(folder).checkpoint, checkpoint)
    return LanguageModel.load_from_checkpoint(checkpoint, weights_only=True).to(dtype)


@pytest.mark.parametrize("write", [write_native, write_hf])
@pytest.mark.slow
def test_gives_the_golden_logits(case, write, tmp_path):
    found = module(write(tmp_path / "model", *golden(case)), tmp_path, torch.float64)
    said = logits(found, IDS)
    expected = torch.tensor(case["float64"]["logits"], dtype=torch.float64)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-8)
    loss = float(cross_entropy(said[:-1], torch.tensor(IDS[1:])))
    assert loss == pytest.approx(case["float64"]["loss"], abs=1e-8)


def test_gives_the_official_numbers_in_float32(case, tmp_path):
    found = module(write_native(tmp_path / "model", *golden(case)), tmp_path, torch.float32)
    said, official = logits(found, IDS), case["official_fp32"]
    expected = torch.tensor(official["logits_pos7"])
    torch.testing.assert_close(said[7], expected, rtol=1e-4, atol=1e-5)
    loss = float(cross_entropy(said[:-1], torch.tensor(IDS[1:])))
    assert loss == pytest.approx(official["loss"], rel=1e-4)
    assert sum(x.numel() for x in found.parameters()) == case["n_params"]
