"""Layers that several processes divide, with shards or without, train as those of one do."""

from functools import partial

import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from components.backbones import MLP, Decoder, EncoderDecoder
from components.layers.fan import FanFeedForward, FanLayer
from components.layers.feedforward import SwiGLU
from components.layers.masks import Mask
from components.layers.myopic.attention import Myopic
from components.layers.positions import RelativeBias
from framework.checkpoints import load_parameters
from framework.execution import Execution
from framework.parallel.tensors import divide, regrouped
from tests.framework.parallel.training import (
    FANFORMER,
    FANFORMER_BLOCK,
    GPT,
    GPT_BLOCK,
    close,
    same,
    train,
)
from tests.ranks import run_ranks


@pytest.mark.slow
def test_two_processes_that_divide_layers_train_as_one():
    same(2, {"tensor_parallel_size": 2}, execution=Execution(checkpoint="selective"))


TWO = {"tensor_parallel_size": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "options", "changes"),
    [
        (2, TWO, {"backbone": GPT, "execution": Execution(meta=True)}),
        (4, TWO, {"backbone": FANFORMER_BLOCK, "execution": Execution(checkpoint=True)}),
        (4, {**TWO, "replicas": 2}, {"backbone": GPT_BLOCK}),
        (4, {"replicas": 2}, {"backbone": FANFORMER_BLOCK, "execution": Execution(meta=True)}),
        (2, {"offload": True}, {"execution": Execution(meta=True)}),
    ],
    ids=["2 of GPT", "2 x 2 of FANformer", "2 replicas of 2", "2 replicas of 2 shards", "offload"],
)
def test_parallel_training_is_that_of_one_process(processes, options, changes):
    same(processes, options, **changes)


@pytest.mark.slow
def test_one_process_goes_on_where_divided_layers_were_saved(tmp_path):
    block = {"backbone": FANFORMER_BLOCK}
    (through,) = run_ranks(lambda: train(steps=4, changes=block), 1)
    run_ranks(lambda: train(4, 2, tmp_path, changes=block, **TWO), 4)
    folder, file = (tmp_path / name for name in ("folder", "file.ckpt"))
    found, expected = load_parameters(folder), load_parameters(file)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    for path in (folder, file):
        (again,) = run_ranks(lambda path=path: train(1, 4, ckpt_path=path, changes=block), 1)
        close(again, through)
    for again in run_ranks(lambda: train(2, 4, None, folder, block, **TWO), 2):
        close(again, through)


def test_each_process_gets_its_share_of_every_part():
    matrix = torch.arange(24.0).view(12, 2)

    def exchange(parts, processes):
        mesh = init_device_mesh("cpu", (processes,))
        own = matrix.chunk(processes)[mesh.get_local_rank()].clone().requires_grad_()
        share = regrouped(own, parts, mesh)
        (share * share).sum().backward()
        return {"share": share, "gradient": own.grad}

    for parts, processes in ((3, 2), (2, 3)):
        ranks = run_ranks(partial(exchange, parts, processes), processes)
        for rank, found in enumerate(ranks):
            expected = [part.chunk(processes)[rank] for part in matrix.chunk(parts)]
            assert torch.equal(found["share"], torch.cat(expected))
            assert torch.equal(found["gradient"], 2 * matrix.chunk(processes)[rank])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_divided_block_is_one_graph():
    """Traced beside a fake process group: nothing is sent, and no kernel is made."""
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        backbone, mesh = FANFORMER(), init_device_mesh("cpu", (2,))
        block = backbone.blocks[0]
        divide(block, backbone.plan(2), mesh)
        inputs = torch.randn(2, 5, 16), torch.arange(5)[None], Mask(causal=True)
        eager = block(*inputs)
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        block.compile(backend="eager")
        torch.testing.assert_close(block(*inputs), eager)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
        assert not torch._dynamo.utils.counters["graph_break"]
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("backbone", "processes", "sentence"),
    [
        (partial(Decoder, dim=12, depth=1, heads=3), 2, r"Attention: heads=3 is not divisible"),
        (partial(GPT, kv_heads=1), 2, r"kv_heads=1 is not divisible by tensor_parallel_size=2"),
        (partial(GPT, feedforward=partial(SwiGLU, hidden=9)), 2, r"SwiGLU: hidden=9 is not"),
        (partial(GPT, feedforward=partial(FanFeedForward, hidden=8)), 2, r"FanFeedForward has no"),
        (partial(GPT, attention=Myopic), 2, r"no plan .* with Myopic; set"),
        (partial(GPT, value=FanLayer), 2, r"no plan .* with FanLayer; set"),
        (partial(GPT, positions=RelativeBias), 2, r"with RelativeBias, whose biases differ by"),
        (partial(MLP, dim=8, depth=1), 2, r"MLP has no plan .* or use Decoder"),
        (partial(EncoderDecoder, dim=8, depth=1, heads=2), 2, r"EncoderDecoder has no plan"),
    ],
)
def test_what_cannot_be_divided_is_one_sentence(backbone, processes, sentence):
    with pytest.raises(ValueError, match=sentence):
        backbone().plan(processes)
