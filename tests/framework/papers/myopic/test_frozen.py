"""A model that reads the past of a frozen one: its definition, its gradients, its runs."""

import copy
from functools import partial

import pytest
import torch
from lightning.pytorch import seed_everything

from components.backbones import Decoder
from components.data import TokenBatch, TokenSpec
from components.heads import LinearHead
from components.layers.attention import ScaledDotProduct
from components.layers.myopic.attention import GivenPast, Myopic
from components.layers.positions import Learned
from components.stems import TokenStem
from components.supports import Tokens
from framework.callbacks.step_seed import StepSeed
from framework.evaluation.generation import Sampling
from framework.exchange import Weights
from framework.execution import Execution
from framework.modules.language import LanguageModel
from framework.papers.myopic import LocalLanguageModel
from framework.strategies import FullyShardedStrategy
from tests.framework.modules.fakes import trainer, whole
from tests.framework.modules.parts import FixedData, options, train
from tests.ranks import run_ranks

SPEC = TokenSpec(Tokens(11), 6)
BACKBONE = partial(Decoder, dim=16, depth=3, heads=4, kv_heads=2, bias=True, dropout=0.0)


def model(attention=ScaledDotProduct, backbone=BACKBONE, **changes):
    parts = options(SPEC, TokenStem, LinearHead, partial(backbone, attention=attention))
    kind = LocalLanguageModel if changes.get("reference") else LanguageModel
    changes = {name: value for name, value in changes.items() if value is not None}
    return kind(**parts, **changes, sampling=Sampling(length=2))


def batch():
    tokens = torch.arange(42).reshape(6, 7) ** 2 % 11
    return TokenBatch(tokens[:, :-1], tokens[:, 1:], torch.ones(6, 6))


def fit(module, strategy="auto", world=1, path=None, **settings):
    """Trains some steps and may keep a checkpoint; returns the weights."""
    made = FullyShardedStrategy(path is not None) if strategy == "fsdp2" else strategy
    seed_everything(3, verbose=False)
    runner = trainer(strategy=made, devices=world, **{"max_steps": 3, "max_epochs": 9, **settings})
    ckpt = settings.pop("ckpt_path", None)
    runner.fit(module, FixedData(batch(), size=6 // world), ckpt_path=ckpt)
    if path is not None:
        runner.save_checkpoint(path)
    return whole(module)


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory):
    """The checkpoint of a model that was trained for some steps."""
    path = tmp_path_factory.mktemp("vanilla") / "vanilla.ckpt"
    fit(model(), path=path)
    return str(path)


@pytest.fixture(scope="module")
def alone(vanilla):
    """The weights of a model that was trained with its past, by one process."""
    return fit(model(GivenPast, reference=vanilla))


def built(path, attention, double=True, **changes):
    """Builds a model with the weights of a checkpoint."""
    if attention is GivenPast:
        changes["reference"] = path
    module = model(attention, initialization=Weights(path), **changes)
    module.configure_model()
    return module.double() if double else module


def loss_and_gradients(module):
    loss = -module(batch()).log_prob(batch().target).mean()
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in module.named_parameters()}


def scattered(module):
    """Moves the parameters of a model, so that it is no copy of the frozen one."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return module


@pytest.mark.parametrize(
    "backbone", [BACKBONE, partial(BACKBONE, positions=partial(Learned, length=6))]
)
def test_each_position_reads_on_from_what_the_frozen_model_kept(vanilla, tmp_path, backbone):
    """The definition: position by position, with a cache that the frozen model filled."""
    path = tmp_path / "vanilla.ckpt"
    fit(model(backbone=backbone), path=path)
    frozen = built(str(path), ScaledDotProduct, backbone=backbone)
    local = scattered(built(str(path), GivenPast, backbone=backbone))
    alone = model(backbone=backbone)
    alone.configure_model()
    alone.double().load_state_dict(local.state_dict())
    for position in range(6):
        cache = frozen.backbone.new_cache(6, 6)
        before, here = (
            TokenBatch(*(field[:, part] for field in batch()))
            for part in (slice(position), slice(position, position + 1))
        )
        with torch.no_grad():
            if position:
                frozen.backbone(frozen.stem(before), cache)
            expected = alone.head(alone.backbone(alone.stem(here), cache)).logits[:, 0]
            found = local(batch()).logits[:, position]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert (frozen(batch()).logits - local(batch()).logits).abs().max() > 0.1


def test_starts_with_the_loss_of_the_vanilla_model(vanilla):
    losses = {
        (attention, double): loss_and_gradients(built(vanilla, attention, double))[0]
        for attention in (ScaledDotProduct, GivenPast)
        for double in (True, False)
    }
    for double, tolerance in ((True, 1e-12), (False, 1e-6)):
        torch.testing.assert_close(
            losses[GivenPast, double],
            losses[ScaledDotProduct, double],
            rtol=0,
            atol=tolerance,
        )


def test_starts_with_the_gradients_of_myopic_training(vanilla):
    """A frozen past and a constant one are the same to every parameter, if both models are.

    So the gradients are those of constant keys and values. Constant hidden states differ from
    these in nothing but the matrices that make keys and values.
    """
    _, found = loss_and_gradients(built(vanilla, GivenPast))
    _, keys = loss_and_gradients(built(vanilla, partial(Myopic, constant="keys")))
    _, hidden = loss_and_gradients(built(vanilla, partial(Myopic, constant="hidden")))
    _, full = loss_and_gradients(built(vanilla, ScaledDotProduct))
    assert found.keys() == keys.keys() == hidden.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, keys[name], rtol=0, atol=1e-13, msg=name)
        apart = (gradient - hidden[name]).abs().max()
        assert (apart > 1e-4) if "key_value" in name else (apart < 1e-13), name
    first = "stem.embedding.weight"
    assert (found[first] - full[first]).abs().max() > 1e-4


def test_the_frozen_model_is_no_part_of_the_trained_one(vanilla):
    local, ordinary = built(vanilla, GivenPast, double=False), built(vanilla, ScaledDotProduct)
    assert local.state_dict().keys() == ordinary.state_dict().keys()
    assert len(list(local.modules())) == len(list(ordinary.modules()))
    frozen = local.reference
    local.train()
    assert not frozen.backbone.training
    assert not any(p.requires_grad for p in frozen.backbone.parameters())
    before = copy.deepcopy(frozen.backbone.state_dict())
    scattered(local)
    local.double()(batch())
    for name, value in frozen.backbone.state_dict().items():
        assert value.dtype == torch.float64
        assert torch.equal(value, before[name].double())


def test_drops_nothing_of_the_past(tmp_path):
    """Dropout of the frozen model stays off while the other one trains with it."""
    backbone = partial(BACKBONE, dropout=0.5)
    path = tmp_path / "dropped.ckpt"
    fit(model(backbone=backbone), path=path)
    local = built(str(path), GivenPast, backbone=backbone)
    local.train()
    [one, other] = [
        local.reference(batch()).layers[2].extend(*[torch.empty(6, 2, 6, 4)] * 2) for _ in "ab"
    ]
    assert torch.equal(one[0], other[0])
    assert not torch.equal(local(batch()).logits, local(batch()).logits)


@pytest.mark.slow
def test_trains_validates_tests_and_loads_again(vanilla, tmp_path):
    module = model(GivenPast, reference=vanilla)
    seen = train(module, FixedData(batch()))
    assert seen["val/nll"] > 0
    runner = trainer()
    tested = runner.test(module, FixedData(batch()), verbose=False)[0]
    assert tested["test/nll"] == pytest.approx(seen["val/nll"], rel=1e-6)
    runner.strategy.connect(module)
    runner.save_checkpoint(tmp_path / "local.ckpt")
    held = torch.load(tmp_path / "local.ckpt", weights_only=True)
    assert held["state_dict"].keys() == module.state_dict().keys()
    assert held["hyper_parameters"]["reference"] == vanilla
    loaded = LocalLanguageModel.load_from_checkpoint(tmp_path / "local.ckpt").eval()
    assert torch.equal(loaded(batch()).logits, module.eval()(batch()).logits)
    with pytest.raises(ValueError, match="attends to the past of another model itself; use the"):
        model(GivenPast, reference=str(tmp_path / "local.ckpt")).configure_model()
    gone = {"reference": str(tmp_path / "gone.ckpt")}
    with pytest.raises(ValueError, match=r"There is no checkpoint '.*gone.ckpt'; check"):
        LocalLanguageModel.load_from_checkpoint(tmp_path / "local.ckpt", **gone)


@pytest.mark.slow
def test_a_run_goes_on_with_the_same_past(vanilla, tmp_path):
    dropping = partial(BACKBONE, dropout=0.2)
    changes = {"reference": vanilla, "backbone": dropping}
    settings = {"callbacks": [StepSeed()]}
    straight = fit(model(GivenPast, **changes), max_steps=4, **settings)
    fit(model(GivenPast, **changes), max_steps=2, path=tmp_path / "2.ckpt", **settings)
    seed_everything(3, verbose=False)
    again = model(GivenPast, **changes)
    runner = trainer(max_steps=4, max_epochs=9, **settings)
    runner.fit(again, FixedData(batch(), size=6), ckpt_path=tmp_path / "2.ckpt", weights_only=True)
    for name, value in straight.items():
        torch.testing.assert_close(whole(again)[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("strategy", "execution"),
    [
        ("ddp", Execution()),
        ("fsdp2", Execution(meta=True, checkpoint=True)),
    ],
    ids=str,
)
@pytest.mark.slow
def test_ranks_give_the_same_weights(vanilla, alone, strategy, execution):
    def run():
        return fit(model(GivenPast, reference=vanilla, execution=execution), strategy, 2)

    for rank in run_ranks(run, 2):
        for name, value in alone.items():
            torch.testing.assert_close(rank[name], value, rtol=0, atol=1e-6, msg=name)


@pytest.mark.slow
def test_a_folder_of_shards_serves_as_well(vanilla, tmp_path):
    folder = tmp_path / "shards"
    run_ranks(lambda: fit(model(), "fsdp2", 2, path=folder) and None, 2)
    found = model(GivenPast, reference=str(folder))
    found.configure_model()
    held = torch.load(vanilla, weights_only=True)["state_dict"]
    for name, value in found.reference.backbone.state_dict().items():
        torch.testing.assert_close(value, held[f"backbone.{name}"], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own, about itself
def test_compiled_blocks_change_no_number(vanilla):
    torch._dynamo.reset()
    expected, gradients = loss_and_gradients(built(vanilla, GivenPast))
    module = built(vanilla, GivenPast)
    for block in module.backbone.blocks:
        block.compile(backend="aot_eager", fullgraph=True)  # all but the kernels, which take long
    loss, found = loss_and_gradients(module)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_reads_in_the_precision_of_the_run(vanilla, precision):
    """At the start both models are one, in any precision: so are their losses."""
    losses = {}
    for attention in (ScaledDotProduct, GivenPast):
        path = vanilla if attention is GivenPast else None
        module = model(attention, initialization=Weights(vanilla), reference=path)
        runner = trainer(precision=precision, max_steps=1)
        [tested] = runner.test(module, FixedData(batch()), verbose=False)
        losses[attention] = tested["test/nll"]
        runner.fit(module, FixedData(batch()))
        assert all(p.isfinite().all() for p in module.parameters())
    tolerance = 1e-9 if precision == "64-true" else 2e-2
    assert losses[GivenPast] == pytest.approx(losses[ScaledDotProduct], abs=tolerance)
