"""Every family in half precision: its files are read in their type, and written bit for bit."""

import pytest
import torch

from framework.exchange.conversion import FORMATS
from framework.exchange.exporting import export
from framework.exchange.families import FAMILIES
from framework.exchange.files import read
from tests.framework.exchange import test_t5, test_transformers
from tests.framework.exchange.published import assert_same_files, random, saved

MODELS = {**test_transformers.MODELS, **test_t5.MODELS, "Chronos": test_t5.chronos}
ONE_OF_EACH = {
    **{family.name: family.title for family in FAMILIES},
    "gpt_neox": "Pythia",
}


@pytest.mark.parametrize("family", ONE_OF_EACH)
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)], ids=str
)
def test_half_precision_is_given_back(family, dtype, tmp_path):
    random(MODELS[ONE_OF_EACH[family]]).to(dtype).save_pretrained(tmp_path / "model")
    theirs = read(tmp_path / "model").tensors
    assert {tensor.dtype for tensor in theirs.values()} == {dtype}
    path = saved(tmp_path / "model", tmp_path / "one.ckpt")
    held = torch.load(path, weights_only=True)
    assert held["published"]["format"] == family
    assert {tensor.dtype for tensor in held["state_dict"].values()} == {dtype}
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")
    del held["published"]
    torch.save(held, path)  # as if it was trained here
    export(path, FORMATS[family]).write(tmp_path / "made")
    made = read(tmp_path / "made").tensors
    assert made.keys() == theirs.keys()
    assert all(made[name].equal(tensor) for name, tensor in theirs.items())
    assert all(made[name].dtype == dtype for name in theirs)
