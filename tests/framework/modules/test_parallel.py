"""Training and evaluation give the same numbers on any number of ranks, however they are run."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from framework.callbacks.step_seed import StepSeed
from framework.execution import Execution
from tests.framework.modules import fakes
from tests.ranks import run_ranks

TWO_STEPS = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5}


def assert_same(found: dict, expected: dict, tolerance: float = 1e-6) -> None:
    assert found["weights"].keys() == expected["weights"].keys()
    for name, value in expected["weights"].items():
        torch.testing.assert_close(
            found["weights"][name],
            value,
            rtol=0,
            atol=tolerance,
            msg=lambda m, n=name: f"{n}: {m}",
        )
    assert [row.keys() for row in found["rows"]] == [row.keys() for row in expected["rows"]]
    for row, wanted in zip(found["rows"], expected["rows"], strict=True):
        assert row == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("world", "strategy"), [(2, "ddp"), (2, fakes.fsdp2), (1, fakes.fsdp2)])
def test_strategies_give_the_same_weights_and_logs(world, strategy):
    # uneven weights, two micro-batches a step, and clipping that bites
    alone = fakes.fit(TWO_STEPS)
    unclipped = fakes.fit({"accumulate_grad_batches": 2})
    assert not torch.equal(
        alone["weights"]["stem.project.weight"], unclipped["weights"]["stem.project.weight"]
    )
    for rank in fakes.on_ranks(world, strategy, settings=TWO_STEPS):
        assert_same(rank, alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    "execution",
    [Execution(checkpoint=True), Execution(meta=True), Execution(checkpoint=True, meta=True)],
    ids=str,
)
@pytest.mark.parametrize(("world", "strategy"), [(1, "auto"), (2, "ddp"), (2, fakes.fsdp2)])
def test_execution_changes_no_number(world, strategy, execution):
    alone = fakes.fit({})
    for rank in fakes.on_ranks(world, strategy, changes={"execution": execution}):
        assert_same(rank, alone)


@pytest.mark.filterwarnings("ignore")  # the compiler's own, about itself
@pytest.mark.slow
def test_compiled_blocks_change_no_number():
    torch._dynamo.reset()  # other tests compile too; a forked process could not, after them
    torch._dynamo.utils.counters.clear()
    found = fakes.fit({}, {"execution": Execution(compile=True, checkpoint=True)})
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # both blocks are one graph
    assert_same(found, fakes.fit({}))


def test_checkpointing_keeps_no_activations():
    model = fakes.module(execution=Execution(checkpoint=True))
    model.configure_model()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        model.backbone.blocks[0](torch.randn(5, 1, 8, requires_grad=True))
    assert len(saved) < 3  # of the linear layer, the tanh and the dropout


@pytest.mark.parametrize("strategy", ["ddp", pytest.param(fakes.fsdp2, marks=pytest.mark.slow)])
def test_uneven_evaluation_counts_every_example_once(strategy):
    batch = fakes.examples(7)
    seed_everything(1, verbose=False)
    model = fakes.module()
    model.configure_model()
    with torch.no_grad():
        nll = -model(batch).log_prob(batch.target)
    expected = {
        "test/nll": float((nll * batch.weight).sum() / batch.weight.sum()),
        "test/out_of_support": float(
            ((batch.target.abs() > 2) * batch.weight).sum() / batch.weight.sum()
        ),
    }
    assert 0 < expected["test/out_of_support"] < 1

    def evaluate(world: int, strategy: object) -> dict:
        seed_everything(1, verbose=False)
        made = strategy() if callable(strategy) else strategy
        runner = fakes.trainer(devices=world, strategy=made)
        return runner.test(fakes.module(), fakes.data(), verbose=False)[0]

    assert evaluate(1, "auto") == pytest.approx(expected, rel=1e-6)
    for rank in run_ranks(evaluate, 2, 2, strategy):
        assert rank == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_validation_between_steps_changes_nothing():
    validating = {
        "limit_val_batches": 1.0,
        "val_check_interval": 2,
        "check_val_every_n_epoch": None,
    }
    settings = {**validating, "num_sanity_val_steps": 0, "callbacks": [StepSeed()]}
    changes = {"backbone": fakes.partial(fakes.FakeBackbone, dropout=0.3)}
    plain = fakes.fit({"callbacks": [StepSeed()]}, changes)
    for rank in fakes.on_ranks(2, fakes.fsdp2, settings=settings):
        assert "val/nll" in rank["rows"][-1]
        assert_same({**rank, "rows": []}, {**fakes.fit({}), "rows": []})
    again = fakes.fit(settings, changes)
    assert_same({**again, "rows": []}, {**plain, "rows": []}, tolerance=0)


class SaveThird(Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch_idx == 5:  # two micro-batches a step
            trainer.save_checkpoint(self.path)


RESUMED = {"accumulate_grad_batches": 2, "max_steps": 6}


def resumed(folder: Path, first: tuple, second: tuple, **changes: object) -> tuple[dict, dict]:
    """Trains six steps with a checkpoint after the third, and from there again; dropout acts."""
    changes = {"backbone": fakes.partial(fakes.FakeBackbone, dropout=0.3), **changes}

    def run(world: int, strategy: object, path: Path | None) -> dict:
        save = [] if path else [SaveThird(folder / "third.ckpt")]
        settings = {"callbacks": [StepSeed(), *save], **RESUMED}
        details = {"settings": settings, "changes": changes, "ckpt_path": path}
        return fakes.on_ranks(world, strategy, **details)[0]

    return run(*first, None), run(*second, folder / "third.ckpt")


@pytest.mark.parametrize(
    ("world", "strategy"),
    [(1, "auto"), (2, "ddp"), pytest.param(2, fakes.fsdp2, marks=pytest.mark.slow)],
)
def test_resuming_is_exact(tmp_path, world, strategy):
    through, again = resumed(tmp_path, (world, strategy), (world, strategy))
    assert_same({**again, "rows": []}, {**through, "rows": []}, tolerance=0)
    assert again["rows"] == through["rows"][3:]


def whole_file() -> object:
    return fakes.fsdp2(save_distributed_checkpoint=False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, fakes.fsdp2), (1, fakes.fsdp2)),
        ((1, fakes.fsdp2), (2, fakes.fsdp2)),
        ((2, whole_file), (1, "auto")),
        ((2, "ddp"), (2, fakes.fsdp2)),
    ],
)
@pytest.mark.slow
def test_the_number_of_processes_may_change(tmp_path, first, second):
    dry = fakes.partial(fakes.FakeBackbone, dropout=0.0)  # noise depends on the rank
    through, again = resumed(tmp_path, first, second, backbone=dry)
    assert_same({**again, "rows": []}, {**through, "rows": []})


def test_tensor_parallelism_takes_a_plan():
    def rank() -> None:
        strategy = fakes.ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=2)
        with pytest.raises(ValueError, match="FakeBackbone has no plan for tensor parallelism"):
            fakes.fit({"devices": 2, "strategy": strategy})

    run_ranks(rank, 2)
