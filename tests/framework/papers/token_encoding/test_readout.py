"""A read-out is what the head does to the vectors that it reads, sharded or not."""

import pytest
import torch
from lightning.pytorch import seed_everything

from components.heads import FanHead, FourierHead, LinearHead
from components.stems import TokenStem
from framework.analysis import Sample
from framework.modules.language import LanguageModel
from framework.papers.token_encoding import gather, readout, states
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import trainer
from tests.framework.modules.parts import FixedData, options
from tests.framework.papers.myopic.models import SPEC, Windows
from tests.framework.papers.token_encoding.models import HEADS, language_model
from tests.ranks import run_ranks


@pytest.mark.parametrize("changes", HEADS.values(), ids=HEADS)
def test_logits_are_those_of_the_model(changes):
    module, batch = language_model(**changes), Windows(5).batch
    own, read = readout(module), states(module, batch)
    torch.testing.assert_close(own.logits(read), module(batch).logits)
    assert own.weight.shape == (7, read.shape[-1])
    assert not read.requires_grad


def test_a_read_out_is_a_copy_in_float32():
    module = language_model().bfloat16()
    own = readout(module)
    assert own.weight.dtype == own.bias.dtype == torch.float32
    name = own.fingerprint()
    before = module.head.projection.weight.clone()
    own.weight.zero_()
    assert torch.equal(module.head.projection.weight, before)
    assert own.fingerprint() != name == readout(module).fingerprint()


def test_the_fingerprint_knows_the_bias():
    own = readout(language_model())
    assert type(own)(own.weight, None).fingerprint() != own.fingerprint()
    assert type(own)(own.weight, own.bias + 1).fingerprint() != own.fingerprint()


def test_logits_are_float32_under_autocast():
    own = readout(language_model())
    hidden = torch.randn(3, 8)
    expected = hidden @ own.weight.T + own.bias
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(own.logits(hidden), expected)


def test_a_head_without_rows_is_refused():
    module, batch = language_model(head=FourierHead), Windows(2).batch
    for ask in (lambda: readout(module), lambda: states(module, batch)):
        with pytest.raises(
            ValueError, match=r"FourierHead has no row of a matrix for each token.* Lin"
        ):
            ask()


@pytest.mark.parametrize(
    "changes",
    [{"head": LinearHead}, {"head": FanHead}, {"head": FanHead, "tied": True}],
    ids=["linear", "fan", "tied fan"],
)
@pytest.mark.slow
def test_a_sharded_model_says_what_it_says_whole(changes):
    def gathered(world):
        seed_everything(1, verbose=False)
        parts = options(SPEC, TokenStem, changes["head"])
        module = LanguageModel(**{**parts, **changes})
        made = FullyShardedStrategy() if world == 2 else "auto"
        runner = trainer(strategy=made, devices=world, max_steps=1)
        batch = Windows(4).batch
        runner.fit(module, FixedData(batch, size=4 // world))  # sharded as it was in training
        found = gather(module, Sample(Windows(9), None, 3), contexts=5)
        own = readout(module)
        sharded = any(hasattr(p, "full_tensor") for p in module.parameters())
        return {**vars(found), "contexts": found.contexts.hidden, "own": own.weight, "is": sharded}

    [expected] = run_ranks(gathered, 1, 1)
    for found in run_ranks(gathered, 2, 2):
        assert found.pop("is")
        for name in ("alpha", "mean", "covariance", "counts", "contexts", "own"):
            torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6, msg=name)
