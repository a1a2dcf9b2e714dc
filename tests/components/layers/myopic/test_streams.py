"""Two streams of a projection: one product forward, gradients as if it were called twice."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from components.layers.fan import FanLayer
from components.layers.linear import Linear
from components.layers.myopic.streams import parameter_streams

PROJECTIONS = {
    "linear": lambda: Linear(6, 10, bias=False),
    "biased": lambda: Linear(6, 10),
    "fan": lambda: FanLayer(6, 10),
}
every_projection = pytest.mark.parametrize("make", PROJECTIONS.values(), ids=PROJECTIONS.keys())


def build(make, dtype):
    torch.manual_seed(0)
    project = make().to(dtype)
    for parameter in project.parameters():
        nn.init.normal_(parameter)
    return project, torch.randn(3, 5, 6, dtype=dtype).requires_grad_()


def differentiate(own, past, source, project):
    torch.manual_seed(1)
    directions = torch.randn(2, *own.shape).to(own.dtype)
    leaves = [source, *project.parameters()]
    return torch.autograd.grad((own, past), leaves, tuple(directions))


@every_projection
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_streams_equal_two_calls_of_which_one_sees_a_constant(make, dtype, autocast):
    project, source = build(make, dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        own, past = parameter_streams(project, source)
        expected = project(source)
        constant = project(source.detach())
    assert own.dtype == past.dtype == expected.dtype
    assert torch.equal(own, expected)
    assert torch.equal(past, expected)
    found = differentiate(own, past, source, project)
    close = 16 * torch.finfo(own.dtype).eps
    for mine, theirs in zip(
        found, differentiate(expected, constant, source, project), strict=True
    ):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=close, atol=close * theirs.abs().max())


class Products(TorchDispatchMode):
    """Counts products of matrices."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket.__name__ in ("mm", "addmm", "bmm")
        return function(*args, **(kwargs or {}))


def test_a_linear_map_is_multiplied_as_often_as_ordinarily():
    project, source = build(PROJECTIONS["biased"], torch.float32)
    counts = []
    for stream in (parameter_streams, lambda project, source: (project(source),)):
        with Products() as products:
            sum(each.sum() for each in stream(project, source)).backward()
        counts.append(products.count)
    assert counts == [3, 3]


def test_frozen_parameters_and_constant_states_get_none():
    project, source = build(PROJECTIONS["biased"], torch.float32)
    project.requires_grad_(False)
    own, past = parameter_streams(project, source)
    (own.sum() + past.sum()).backward()
    torch.testing.assert_close(source.grad, project.weight.sum(0).expand_as(source))
    project.requires_grad_(True)
    sum(each.sum() for each in parameter_streams(project, source.detach())).backward()
    assert project.bias.grad.tolist() == [30.0] * 10
