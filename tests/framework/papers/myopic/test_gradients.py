"""Myopic and future gradients against autograd through a dense form, that of the definition."""

import math
from functools import partial

import pytest
import torch

from components.backbones.positionwise import MLP
from components.heads.linear import LinearHead
from components.layers.positions import Learned
from components.stems.tokens import TokenStem
from framework.analysis import Sample
from framework.modules.language import LanguageModel
from framework.papers.myopic import FutureGradient
from framework.papers.myopic.gradients import groups
from tests.framework.modules.parts import options
from tests.framework.papers.myopic.dense import Dense
from tests.framework.papers.myopic.models import SPEC, Windows, model
from tests.ranks import run_ranks

SIZE = 11


def direct(attention=None):
    """The gradient of the mean loss by `backward`, by name."""
    module = model(**({} if attention is None else {"attention": attention})).eval().double()
    batch = Windows(20).__getitems__(list(range(SIZE)))
    losses = -module(batch).log_prob(batch.target) * batch.weight
    (losses.sum() / batch.weight.sum()).backward()
    return {name: p.grad for name, p in module.named_parameters()}


def measured(**options):
    sample = Sample(Windows(20), SIZE, batch_size=3)
    return FutureGradient(model().double(), **options).measure(batch for _, batch in sample)


@pytest.mark.parametrize("constant", ["hidden", "keys"])
@pytest.mark.parametrize("everything", [False, True])
def test_norms_and_cosines_are_those_of_the_dense_form(constant, everything):
    whole, present = direct(), direct(partial(Dense, constant=constant))
    found = measured(constant=constant, everything=everything)
    names = [name for name in whole if everything or name.startswith("backbone")]
    assert set(found) == {group for name in names for group in groups(name)}
    for group, split in found.items():
        mine = [name for name in names if group in groups(name)]
        total = torch.cat([whole[name].flatten() for name in mine])
        myopic = torch.cat([present[name].flatten() for name in mine])
        future = total - myopic
        assert split.total == pytest.approx(total.norm().item(), rel=1e-6)
        assert split.myopic == pytest.approx(myopic.norm().item(), rel=1e-6)
        assert split.future == pytest.approx(future.norm().item(), rel=1e-6, abs=1e-9)
        if future.norm() > 1e-9:
            cosine = torch.cosine_similarity(myopic, future, 0).item()
            assert split.cosine == pytest.approx(cosine, abs=1e-6)
    assert found["block 1"].future > 0.01 * found["block 1"].total
    assert list(found)[:4] == ["all", "block 1", "block 2", "block 3"]


def test_embeddings_are_left_out_wherever_they_are():
    module = model(positions=Learned)
    names = FutureGradient(module).parameters
    assert names
    assert all(name.startswith("backbone.") for name in names)
    assert "backbone.positions.table.weight" not in names
    everything = FutureGradient(module, everything=True).parameters
    assert set(everything) == set(dict(module.named_parameters()))


def test_no_future_leaves_no_angle():
    """Windows of one position have no past, and attention to nothing is exactly the same twice."""
    found = FutureGradient(model()).measure([Windows(5, length=1).batch])
    assert found["all"].future == pytest.approx(0, abs=1e-6)
    assert found["all"].myopic == pytest.approx(found["all"].total)
    module = model()
    with torch.no_grad():
        for block in module.backbone.blocks:
            block.attention.key_value.weight.zero_()
            block.attention.out.weight.zero_()
    found = FutureGradient(module).measure([Windows(5).batch])
    assert found["all"].future == 0
    assert found["all"].myopic == found["all"].total > 0
    assert all(math.isnan(parts.cosine) for parts in found.values())


@pytest.mark.slow
def test_two_ranks_find_what_one_does():
    def on_rank():
        torch.distributed.init_process_group("gloo")
        return {group: list(split) for group, split in measured().items()}

    expected = {group: list(split) for group, split in measured().items()}
    for found in run_ranks(on_rank, 2):
        for group, values in expected.items():
            assert found[group] == pytest.approx(values, rel=1e-6, abs=1e-9, nan_ok=True)


def test_the_model_is_left_alone_and_its_changes_are_seen():
    module = model().train()
    gradient = FutureGradient(module)
    before = {name: p.clone() for name, p in module.named_parameters()}
    first = gradient.measure([Windows(4).batch])["all"]
    assert module.training
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)
    assert gradient.measure([Windows(4).batch])["all"] != first


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="The attention of this model is Dense"):
        FutureGradient(model(attention=Dense))
    module = LanguageModel(**options(SPEC, TokenStem, LinearHead, partial(MLP, dim=8)))
    with pytest.raises(ValueError, match="MLP has no option attention"):
        FutureGradient(module)
