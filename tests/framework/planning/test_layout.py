"""How processes divide a run, by the options of the trainer."""

import pytest
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from framework.console.errors import UserError
from framework.costs import Share
from framework.planning.layout import Layout, layout_of
from framework.strategies import FullyShardedStrategy

DIVIDED = FullyShardedStrategy(replicas=2, tensor_parallel_size=2, context_parallel_size=4)
VIEWS = DDPStrategy(gradient_as_bucket_view=True)


@pytest.mark.parametrize(
    ("strategy", "nodes", "devices", "expected"),
    [
        ("auto", 1, 1, Layout("one process")),
        ("auto", 1, "auto", Layout("one process")),
        ("auto", 2, 4, Layout("DDPStrategy", 8, buckets=True)),
        ("ddp", 1, "2", Layout("DDPStrategy", 2, buckets=True)),
        (VIEWS, 1, [0, 1, 2], Layout("DDPStrategy", 3)),
        ("fsdp", 1, "0,1", Layout("FSDPStrategy", 2, 2)),
        (FullyShardedStrategy(), 2, 8, Layout("FullyShardedStrategy", 16, 16)),
        (DIVIDED, 2, 8, Layout("FullyShardedStrategy", 16, 4, share=Share(2, 4))),
    ],
)
def test_layout(strategy, nodes, devices, expected):
    found = layout_of(strategy, nodes, devices)
    assert found == expected
    assert found.readers == expected.ranks // (8 if strategy is DIVIDED else 1)


def test_others_are_refused():
    with pytest.raises(UserError, match=r"does not know how deepspeed divides .*strategy/fsdp2"):
        layout_of("deepspeed", 1, 2)
    tensors = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=2)
    with pytest.raises(UserError, match="tensor_parallel_size=2; set it to 1"):
        layout_of(tensors, 1, 4)
    with pytest.raises(ValueError, match=r"8 processes cannot be divided .* a multiple of 16"):
        layout_of(DIVIDED, 1, 8)
