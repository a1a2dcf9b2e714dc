"""How myopic models are run: half precision, recomputed, compiled, on several ranks."""

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from components.interfaces import Embedded
from tests.components.layers.myopic.every_myopic import (
    BATCH,
    DECODERS,
    HIDDEN,
    KEYS,
    SIZE,
    VARIANTS,
    decoder,
    error,
    gradients,
    losses,
    states,
)
from tests.ranks import run_ranks

CHOSEN = {name: DECODERS[name] for name in ("gpt2", "grouped", "own values", "normed")}
every_decoder = pytest.mark.parametrize("options", CHOSEN.values(), ids=CHOSEN.keys())
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


@every_decoder
@every_variant
def test_autocast_gives_the_numbers_of_ordinary_attention_and_close_gradients(options, variant):
    given, options = states(torch.float32), options | {"depth": 1}
    backbone = decoder(variant, torch.float32, **options)
    exact = gradients(backbone, given)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = backbone(Embedded(given))
        assert torch.equal(rounded, decoder(dtype=torch.float32, **options)(Embedded(given)))
        found = gradients(backbone, given)  # backward within, as people also do
    assert {each.dtype for each in found.values()} == {torch.float32}
    exact, found = (torch.cat([x.flatten() for x in g.values()]) for g in (exact, found))
    assert (found - exact).norm() < 2e-2 * exact.norm()


@every_decoder
@every_variant
@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_activations_give_equal_gradients(options, variant, reentrant):
    given = states()
    backbone = decoder(variant, **options)
    expected = gradients(backbone, given)
    for block in backbone.blocks:
        forward = block.forward
        block.forward = lambda *args, forward=forward: checkpoint(
            forward, *args, use_reentrant=reentrant
        )
    losses(backbone(Embedded(given))).sum().backward()
    for name, parameter in backbone.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-12, atol=1e-12)


def replicated(backbone):
    return DistributedDataParallel(backbone)


def sharded(backbone):
    mesh = init_device_mesh("cpu", (2,))
    for block in backbone.blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(backbone, mesh=mesh)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")  # of views that nobody writes to
@every_variant
@pytest.mark.parametrize("spread", [replicated, sharded])
def test_two_ranks_find_the_gradients_of_one(variant, spread):
    options = CHOSEN["own values"]
    backbone = decoder(variant, torch.float32, **options)
    given = states(torch.float32).detach()
    backbone(Embedded(given)).tanh().square().mean().backward()
    expected = {name: each.grad for name, each in backbone.named_parameters()}
    assert all(each is not None for each in expected.values())

    def rank():
        distributed.init_process_group("gloo")
        model = decoder(variant, torch.float32, **options)
        mine = given.chunk(2)[distributed.get_rank()]
        both = spread(model)
        both(Embedded(mine)).tanh().square().mean().backward()
        found = {name: each.grad for name, each in model.named_parameters()}
        return {name: getattr(g, "full_tensor", lambda g=g: g)() for name, g in found.items()}

    assert len(given) == BATCH == 2
    for found in run_ranks(rank, 2):
        assert error(found, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
def test_compiled_whole_it_gives_the_same_gradients():
    given = states(torch.float32)
    backbone = decoder(HIDDEN, torch.float32, depth=1, **CHOSEN["grouped"])
    expected = gradients(backbone, given)
    torch._dynamo.reset()
    for block in backbone.blocks:
        block.compile(fullgraph=True)
    found = gradients(backbone, given)
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
@pytest.mark.parametrize(("name", "variant"), [("own values", HIDDEN), ("grouped", KEYS)])
@pytest.mark.slow
def test_the_compiler_traces_it_whole(name, variant):
    """Without generating code, which takes long."""
    given = states(torch.float32)
    backbone = decoder(variant, torch.float32, depth=1, **CHOSEN[name])
    expected = gradients(backbone, given)
    torch._dynamo.reset()
    backbone.blocks[0].compile(fullgraph=True, backend="aot_eager")
    assert error(gradients(backbone, given), expected) < 1e-5
    longer = states(torch.float32, size=SIZE + 1)  # lengths are free
    backbone(Embedded(longer)).sum().backward()
