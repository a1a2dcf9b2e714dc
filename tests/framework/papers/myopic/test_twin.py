"""Models that are built again: from checkpoints, and around the same parameters."""

from functools import partial

import pytest
import torch

from components.layers.attention import ScaledDotProduct
from framework.modules.loading import load_module
from framework.papers.myopic.twin import ORDINARY, constant_past, twin
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData
from tests.framework.papers.myopic.models import Windows, model


def test_a_checkpoint_gives_the_model_back(tmp_path):
    module = model()
    runner = trainer(max_steps=1)
    runner.fit(module, FixedData(Windows(6).batch))
    runner.save_checkpoint(tmp_path / "a.ckpt")
    loaded, batch = load_module(tmp_path / "a.ckpt"), Windows(4).batch
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(batch).logits, module.eval()(batch).logits)
    state = twin(loaded, constant_past("keys")).state_dict()  # it knows how it was built
    assert all(torch.equal(x, state[name]) for name, x in loaded.state_dict().items())


def test_a_checkpoint_that_does_not_say_how_it_was_built(tmp_path):
    torch.save({"pytorch-lightning_version": "2", "state_dict": {}}, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match="does not say how its model was built"):
        load_module(tmp_path / "x.ckpt")


def test_twins_share_their_parameters_and_compute_the_same():
    module, batch = model().eval(), Windows(5).batch
    cut = twin(module, constant_past("hidden"))
    assert type(cut.backbone.blocks[0].attention.operator).__name__ == "Myopic"
    own = dict(module.named_parameters())
    assert all(p is own[name] for name, p in cut.named_parameters())
    torch.testing.assert_close(cut(batch).logits, module(batch).logits)
    back = twin(cut, ORDINARY)
    assert type(back.backbone.blocks[0].attention.operator).__name__ == "ScaledDotProduct"


def test_a_scale_is_taken_over():
    module = model(attention=partial(ScaledDotProduct, scale=0.3))
    for attention in (ORDINARY, constant_past("keys")):
        assert twin(module, attention).backbone.blocks[0].attention.operator.scale == 0.3
