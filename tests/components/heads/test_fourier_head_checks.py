"""The Fourier head as a layer: its memory in training, the shapes, types and devices it takes."""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.heads import FourierHead, LinearHead
from components.supports import Interval, Tokens

CELLS = 4096
EVERY_KIND = pytest.mark.parametrize(
    ("support", "bins"),
    [(Tokens(50), None), (Interval(-2.0, 2.0), None), (Interval(-2.0, 2.0), 50)],
    ids=["tokens", "density", "bins"],
)


class Memory(TorchDispatchMode):
    """Watches the number of bytes of the largest tensor, in forward and backward."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.largest = max(self.largest, leaf.untyped_storage().nbytes())
        return result


def largest_tensor(head, rows):
    hidden = torch.randn(rows, 16, requires_grad=True)
    target = torch.randint(CELLS, (rows,))
    with Memory() as memory:
        (-head(hidden).log_prob(target)).mean().backward()
    assert hidden.grad.abs().sum() > 0
    return memory.largest


@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("frequencies", [8, 64, 550])
def test_training_builds_nothing_of_the_size_of_rows_times_cells(frequencies, eps):
    rows = 256
    head = FourierHead(16, Tokens(CELLS), frequencies, eps=eps)
    fraction = largest_tensor(head, rows) / (4 * rows * CELLS)
    assert fraction <= 2 * (frequencies + 1) / CELLS  # the coefficients, and their gradient
    assert largest_tensor(LinearHead(16, Tokens(CELLS)), rows) >= 4 * rows * CELLS


def test_training_with_fewer_rows_than_cells_has_no_table_of_cells():
    rows, frequencies = 64, 64
    head = FourierHead(16, Tokens(CELLS), frequencies)
    assert largest_tensor(head, rows) <= 4 * max(rows, 16) * 2 * (frequencies + 1)


@EVERY_KIND
def test_any_batch_shape_and_layout_of_memory(support, bins):
    torch.manual_seed(0)
    head = FourierHead(6, support, 5, bins=bins, init="official").double()
    hidden = torch.randn(4, 6, 3, 2, dtype=torch.float64).movedim(1, -1)  # [4, 3, 2, 6]
    assert not hidden.is_contiguous()
    target = torch.randint(0, 2, (2, 3, 4)).movedim(0, -1).movedim(0, 1)  # [4, 3, 2]
    assert not target.is_contiguous()
    found = head(hidden).log_prob(target)
    assert found.shape == (4, 3, 2)
    for index in torch.cartesian_prod(torch.arange(4), torch.arange(3), torch.arange(2)).tolist():
        alone = head(hidden[tuple(index)].clone()).log_prob(target[tuple(index)])
        torch.testing.assert_close(found[tuple(index)], alone)


@EVERY_KIND
def test_nothing_stays_on_another_device(support, bins):
    """The meta device refuses to be mixed with the processor, as a GPU does."""
    head = FourierHead(6, support, 5, bins=bins, eps=0.0).to("meta")
    distribution = head(torch.zeros(3, 6, device="meta"))
    found = [
        distribution.log_prob(torch.zeros(3, dtype=torch.int64, device="meta")),
        distribution.mean,
    ]
    if isinstance(support, Interval):
        found.append(distribution.cdf(torch.zeros(3, device="meta")))
    else:
        found += [distribution.probs, distribution.entropy(), distribution.mode]
    assert {each.device.type for each in found} == {"meta"}


@EVERY_KIND
def test_only_the_projection_is_stored(support, bins):
    head = FourierHead(6, support, 5, bins=bins)
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == {
        "projection.weight": (12, 6),
        "projection.bias": (12,),
    }
    assert not list(head.buffers())


@EVERY_KIND
@pytest.mark.parametrize("how", ["autocast", "module"])
def test_only_the_projection_runs_in_bfloat16(support, bins, how):
    torch.manual_seed(0)
    head = FourierHead(8, support, 12, bins=bins, init="official")
    hidden, target = torch.randn(64, 8), torch.randint(0, 2, (64,))
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        if how == "module":
            head, hidden = head.bfloat16(), hidden.bfloat16()
        assert head.projection(hidden).dtype == torch.bfloat16
        found = head(hidden).log_prob(target)
    rounded = head.projection.float()(hidden.float()).detach()
    exact = distribution_of(head, rounded).log_prob(target)
    assert found.dtype == torch.float32
    likely = exact > math.log(0.01)
    assert likely.sum() > 20
    torch.testing.assert_close(found[likely], exact[likely], atol=0.05, rtol=0)


def distribution_of(head, coefficients):
    """The distribution of a head whose projection gave these coefficients."""
    head.projection = nn.Identity()
    return head(coefficients)
