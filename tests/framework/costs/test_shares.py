"""What one of several processes holds, counted on shapes, is what it holds in a real step."""

import pytest
from torch.distributed.device_mesh import init_device_mesh

from framework.costs import Share, states_of, step_costs
from framework.costs.activations import KeptTensors
from framework.costs.shapes import twin
from framework.costs.states import size
from framework.execution import PLAIN, divide_layers
from framework.modules.objective import Objective
from framework.parallel.contexts import MeshExchange
from framework.strategies import FullyShardedStrategy
from tests.framework.costs.measured import HeldStates, local
from tests.framework.modules import fakes
from tests.framework.modules.parts import FixedData
from tests.framework.modules.test_tied import model
from tests.framework.parallel.training import FANFORMER, GPT, SPEC, batch
from tests.ranks import run_ranks


def made(backbone):
    return model(spec=SPEC, backbone=backbone, tied=backbone is FANFORMER)


def copied():
    """Makes a batch whose tensors share no storage."""
    return type(batch())(*(field.clone() for field in batch()))


def kept(backbone, share):
    """Runs a forward pass on one of several processes; returns the bytes that it keeps."""
    module = made(backbone)
    module.configure_model()
    mesh = init_device_mesh("cpu", (share.processes,))
    if share.tensors > 1:
        divide_layers(module.stem, module.backbone, module.head, mesh)
    if share.contexts > 1:
        module.backbone.spread(MeshExchange(mesh))
    known = [local(tensor) for tensor in (*module.parameters(), *module.buffers())]
    objective, given = Objective(dict(module.losses.items()), "a model"), copied()
    with KeptTensors(known) as found:
        objective.add(module(given), given)
    return found.bytes


@pytest.mark.parametrize(
    "share",
    [pytest.param(Share(tensors=2), marks=pytest.mark.slow), Share(contexts=2)],
    ids=str,
)
@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(FANFORMER, marks=pytest.mark.slow, id="FANformer"),
        pytest.param(GPT, id="GPT"),
    ],
)
def test_activations_are_those_of_a_process(backbone, share):
    whole = step_costs(made(backbone), batch())
    counted = step_costs(made(backbone), batch(), share=share)
    for found in run_ranks(kept, 2, backbone, share):
        assert found == counted.kept
    assert counted.kept < whole.kept
    assert counted.block < whole.block
    assert counted.forward < whole.forward


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [FANFORMER, GPT], ids=["FANformer", "GPT"])
def test_states_are_those_of_a_process(backbone):
    def states():
        held = HeldStates()
        strategy = FullyShardedStrategy(tensor_parallel_size=2)
        runner = fakes.trainer(max_steps=1, callbacks=[held], devices=4, strategy=strategy)
        runner.fit(made(backbone), FixedData(batch(), size=3))
        return held.parameters, held.gradients, held.optimizer

    part = states_of(twin(made(backbone), PLAIN, share=Share(tensors=2)))
    expected = tuple(size(each, 2) for each in (part.parameters, part.trained, part.optimizer))
    assert run_ranks(states, 4)[0] == expected  # the first holds most
