"""What the FAN layer computes and keeps, on one rank and on several, compiled and not."""

import copy

import pytest
import torch
from torch import distributed, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from components.layers.fan import FanLayer
from tests.ranks import run_ranks

FREE = {"view", "t", "slice", "alias", "detach", "new_empty", "promote_types"} | {
    "_unsafe_view"
}  # compute nothing


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Trace(TorchDispatchMode):
    """Records the operations that compute something."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        self.operations += [name] if name not in FREE else []
        return function(*arguments, **(options or {}))


def addresses(*tensors):
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def kept(module, hidden):
    """What autograd holds after the pass forward, and the output."""
    held = []
    with saved_tensors_hooks(lambda tensor: held.append(tensor) or tensor, lambda tensor: tensor):
        output = module(hidden)
    return held, output


def test_one_product_then_cosines_then_sines():
    layer, hidden = FanLayer(8, activation=nn.Identity), torch.randn(2, 3, 8, requires_grad=True)
    with Trace() as trace:
        layer(hidden)
    assert trace.operations == ["addmm", "cos", "sin"]


def test_the_way_back_changes_one_copy_in_place_between_products():
    layer, hidden = FanLayer(8, activation=nn.Identity), torch.randn(2, 3, 8, requires_grad=True)
    output, direction = layer(hidden), torch.ones(2, 3, 8)
    with Trace() as trace:
        output.backward(direction)
    assert trace.operations == ["clone", "mul_", "addcmul_", "mm", "mm", "sum"]


def test_another_activation_puts_the_features_together_once():
    layer, hidden = FanLayer(8), torch.randn(2, 3, 8, requires_grad=True)
    with Trace() as trace:
        layer(hidden)
    assert trace.operations == ["addmm", "cos", "sin", "gelu", "cat"]


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5])
def test_only_input_features_and_weight_are_kept(p):
    layer, hidden = FanLayer(8, 12, p, nn.Identity), torch.randn(2, 3, 8, requires_grad=True)
    held, output = kept(layer, hidden)
    assert addresses(*held) == addresses(hidden, output, layer.weight)
    assert output.untyped_storage().nbytes() == 2 * 3 * 12 * 4  # and no room beside the features


def test_another_activation_keeps_nothing_more():
    layer, hidden = FanLayer(8, 12), torch.randn(2, 3, 8, requires_grad=True)
    held, _ = kept(layer, hidden)
    (features,) = addresses(*held) - addresses(hidden, layer.weight)
    assert {each.untyped_storage().nbytes() for each in held if addresses(each) == {features}} == {
        2 * 3 * 12 * 4
    }


def test_the_gradient_that_comes_in_is_not_changed():
    layer, hidden = FanLayer(8), torch.randn(5, 8, requires_grad=True)
    direction = torch.randn(5, 8)
    before = direction.clone()
    layer(hidden).backward(direction)
    assert torch.equal(direction, before)


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
@pytest.mark.parametrize(
    "activation", [pytest.param(nn.Identity, marks=pytest.mark.slow), nn.GELU]
)
@pytest.mark.parametrize("autocast", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_layer_compiles_in_one_piece(activation, autocast):
    torch._dynamo.reset()
    layer = FanLayer(4, 8, activation=activation, gated=True)
    other = copy.deepcopy(layer)
    compiled = torch.compile(other, backend="aot_eager", fullgraph=True)
    hidden = torch.randn(3, 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        expected, found = layer(hidden), compiled(hidden)
    torch.testing.assert_close(found, expected)
    expected.float().square().sum().backward()
    found.float().square().sum().backward()
    close = {"rtol": 2**-7, "atol": 1e-3} if autocast else {}  # products of bfloat16 are rounded
    for mine, theirs in zip(other.parameters(), layer.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, **close)


def test_checkpointing_keeps_the_input_alone_and_changes_no_gradient():
    layer, hidden = FanLayer(8), torch.randn(5, 8, requires_grad=True)
    layer(hidden).square().sum().backward()
    expected = [leaf.grad for leaf in (hidden, *layer.parameters())]
    for leaf in (hidden, *layer.parameters()):
        leaf.grad = None
    held, output = kept(lambda states: checkpoint(layer, states, use_reentrant=False), hidden)
    assert addresses(*held) <= addresses(hidden)
    output.square().sum().backward()
    for leaf, wanted in zip((hidden, *layer.parameters()), expected, strict=True):
        torch.testing.assert_close(leaf.grad, wanted, rtol=0, atol=0)


def network():
    torch.manual_seed(1)
    return nn.Sequential(FanLayer(6, 10, gated=True), FanLayer(10, 4, activation=nn.Identity))


def replicated(model):
    return DistributedDataParallel(model)


def sharded(model):
    mesh = init_device_mesh("cpu", (2,))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


@pytest.mark.parametrize("spread", [replicated, sharded])
def test_two_ranks_find_the_gradients_of_one(spread):
    hidden = torch.randn(8, 6)
    alone = network()
    alone(hidden).square().mean().backward()

    def rank():
        distributed.init_process_group("gloo")
        model = network()
        both = spread(model)
        both(hidden.chunk(2)[distributed.get_rank()]).square().mean().backward()
        gradients = [each.grad for each in model.parameters()]
        return [getattr(each, "full_tensor", lambda g=each: g)() for each in gradients]

    for found in run_ranks(rank, 2):
        for value, parameter in zip(found, alone.parameters(), strict=True):
            torch.testing.assert_close(value, parameter.grad)
