from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from components.backbones.decoder import Decoder
from components.data import TokenBatch
from components.heads.fan import FanHead
from components.heads.linear import LinearHead
from components.stems.tokens import TokenStem
from framework.checkpoints import read
from framework.modules.language import LanguageModel
from framework.modules.loading import load_module
from framework.papers.token_encoding import readout
from framework.papers.token_encoding.rewriting import Change, rewrite
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData, options
from tests.framework.papers.myopic.models import SPEC, Windows

DECODER = partial(Decoder, dim=8, depth=1, heads=2)
NOTE = {"command": "edit", "scale": 2.0}


def saved(folder: Path, head=LinearHead, **changes) -> Path:
    """Saves a small model after two steps, as a run does."""
    torch.manual_seed(0)
    module = LanguageModel(**options(SPEC, TokenStem, head, DECODER), **changes)
    runner = trainer(max_steps=2)
    runner.fit(module, FixedData(batch()))
    runner.save_checkpoint(folder / "model.ckpt")
    return folder / "model.ckpt"


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return dict(read(path)["state_dict"])


def batch() -> TokenBatch:
    return Windows(4).__getitems__([0, 1, 2, 3])


def test_every_other_tensor_is_the_same(tmp_path):
    source = saved(tmp_path)
    before = tensors(source)
    weight = before["head.projection.weight"].clone()
    weight[3] += 1
    written = rewrite(source, tmp_path / "new" / "edited.ckpt", Change(weight), NOTE)
    after = tensors(written[0])
    assert list(after) == list(before)
    assert after.pop("head.projection.weight").equal(weight)
    assert all(tensor.equal(before[name]) for name, tensor in after.items())
    assert read(written[0])["edits"] == [NOTE]
    assert "optimizer_states" not in read(written[0])
    assert [path.name for path in sorted(written[0].parent.iterdir())] == [
        "edited.ckpt",
        "edited.yaml",
    ]
    twice = rewrite(written[0], tmp_path / "twice.ckpt", Change(weight), {"again": True})
    assert read(twice[0])["edits"] == [NOTE, {"again": True}]


@pytest.mark.slow
def test_a_tied_readout_is_untied_on_request_only(tmp_path):
    source = saved(tmp_path, partial(LinearHead, bias=False), tied=True)
    weight = torch.zeros_like(tensors(source)["stem.embedding.weight"])
    with pytest.raises(ValueError, match=r"reads out with the vectors of its embedding.*--untie"):
        rewrite(source, tmp_path / "new.ckpt", Change(weight), NOTE)
    assert not list(tmp_path.glob("new*"))
    [path, recipe] = rewrite(source, tmp_path / "new.ckpt", Change(weight, untie=True), NOTE)
    before, after = tensors(source), tensors(path)
    assert after.pop("head.projection.weight").equal(weight)
    assert after.keys() == before.keys()
    assert all(tensor.equal(before[name]) for name, tensor in after.items())
    assert load_module(path).tied is False
    assert yaml.safe_load(recipe.read_text())["model"]["init_args"]["tied"] is False
    alone = rewrite(source, tmp_path / "alone.ckpt", Change(untie=True), NOTE)
    assert load_module(alone[0])(batch()).logits.equal(load_module(source)(batch()).logits)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("head", [LinearHead, FanHead])
@pytest.mark.slow
def test_a_constant_of_each_token_is_added(tmp_path, head, bias):
    source = saved(tmp_path, partial(head, bias=bias))
    constant = torch.linspace(-1, 1, 7)
    [path, _] = rewrite(source, tmp_path / "new.ckpt", Change(bias=constant), NOTE)
    own = readout(load_module(source))
    added = constant if own.bias is None else constant - own.bias
    assert torch.allclose(
        load_module(path)(batch()).logits, load_module(source)(batch()).logits + added
    )


@pytest.mark.slow
def test_dimensions_are_left_out(tmp_path):
    source = saved(tmp_path)
    own = readout(load_module(source))
    assert own.bias is not None
    kept = torch.tensor([0, 2, 3, 6])
    change = Change(own.weight[:, kept], own.bias, kept)
    [path, _] = rewrite(source, tmp_path / "narrow.ckpt", change, NOTE)
    zeroed = torch.zeros_like(own.weight)
    zeroed[:, kept] = own.weight[:, kept]
    [other, _] = rewrite(source, tmp_path / "zeroed.ckpt", Change(zeroed), NOTE)
    wanted = load_module(other)(batch()).logits
    assert torch.allclose(load_module(path)(batch()).logits, wanted, atol=1e-6)
    assert tensors(path)["head.projection.1.weight"].shape == (7, 4)
    fewer = torch.tensor([1, 3])  # of those that are left: 2 and 6
    again = Change(own.weight[:, kept[fewer]], None, fewer)
    [third, _] = rewrite(path, tmp_path / "third.ckpt", again, NOTE)
    zeroed[:, [0, 3]] = 0
    [other, _] = rewrite(source, tmp_path / "zeroed2.ckpt", Change(zeroed), NOTE)
    wanted = load_module(other)(batch()).logits
    assert torch.allclose(load_module(third)(batch()).logits, wanted, atol=1e-6)


def test_numbers_keep_their_type(tmp_path):
    source = saved(tmp_path)
    held = torch.load(source, weights_only=True)
    held["state_dict"] = {name: x.bfloat16() for name, x in held["state_dict"].items()}
    torch.save(held, tmp_path / "half.ckpt")
    weight = torch.full((7, 8), 1 / 3)
    [path, _] = rewrite(tmp_path / "half.ckpt", tmp_path / "new.ckpt", Change(weight), NOTE)
    assert tensors(path)["head.projection.weight"].equal(weight.bfloat16())
    assert {tensor.dtype for tensor in tensors(path).values()} == {torch.bfloat16}


@pytest.mark.parametrize("taken", ["new.ckpt", "new.yaml"])
def test_nothing_is_overwritten(tmp_path, taken):
    source = saved(tmp_path)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(ValueError, match=f"{taken} exists already"):
        rewrite(source, tmp_path / "new.ckpt", Change(), NOTE)
    assert [path.name for path in tmp_path.glob("new*")] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_what_cannot_be_changed_is_refused(tmp_path):
    source = saved(tmp_path, FanHead)
    change = Change(torch.zeros(7, 3), None, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="FanHead, whose read-out does not read hidden states"):
        rewrite(source, tmp_path / "new.ckpt", change, NOTE)
    with pytest.raises(ValueError, match=r"head.projection.1.weight is \[7, 5\] there and"):
        rewrite(source, tmp_path / "new.ckpt", Change(torch.zeros(7, 5)), NOTE)
    with pytest.raises(ValueError, match="There is no checkpoint"):
        rewrite(tmp_path / "none.ckpt", tmp_path / "new.ckpt", Change(), NOTE)
    assert not list(tmp_path.glob("new*"))
