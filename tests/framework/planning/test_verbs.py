"""`plan` and `bench` on the command line, against training steps of the same recipes."""

import json
import re

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import cli
from framework.planning.command import PlanCommand
from framework.planning.plan import in_bytes
from tests.framework.costs.measured import Held
from tests.framework.modules import fakes

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

RECIPES = {  # of tokens, of forecasts and of decisions, with fewer data
    "sotu": ["--data.tokenizer", "ByteTokenizer", "--data.length", "32"],
    "quickstart": [],
    "cartpole": ["--data.source.steps", "2000"],
}
FIVE = ["--trainer.max_steps", "9", "--data.batch_size", "8"]


@pytest.fixture(autouse=True, scope="module")
def classes():
    """Imports those that recipes name without a module, as the command line does."""
    cli._import_classes()


def printed(capsys, *words):
    cli.main(list(words))
    rows = (re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines())
    return {row[0]: row[1:] for row in rows if row[0]}


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_plan_of_a_run(tmp_path, capsys):
    path = tmp_path / "plan.json"
    words = ["--config", "two_peaks", *FIVE, "--mfu", "0.5", "--peak", "A100"]
    sharded = ["--config", "strategy/fsdp2", "--trainer.devices", "4"]
    rows = printed(capsys, "plan", *words, *sharded, "--output", str(path))
    plan = json.loads(path.read_text())
    assert rows["steps"] == ["9"]
    assert rows["positions per step"] == ["8"]
    assert (plan["ranks"], plan["shards"], plan["positions"]) == (4, 4, 72)
    assert plan["positions_per_s"] == pytest.approx(0.5 * 312e12 * 4 / plan["flops_per_position"])
    assert plan["seconds"] == 72 / plan["positions_per_s"]
    memory = plan["memory_per_rank"]
    assert rows["weights"][0] == in_bytes(memory["weights"])
    assert plan["parameters"] <= memory["weights"] < 1.01 * plan["parameters"]  # of 4 bytes in 4
    said = refused(capsys, "plan", *words, "--trainer.devices", "3")
    assert "batch_size=8 cannot be shared equally by 3 processes" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 3, "limit_train_batches": 2},
        {"max_epochs": 2, "limit_train_batches": 0.5},
        {"max_epochs": 2, "overfit_batches": 3},
        {"max_epochs": 3, "limit_train_batches": 2, "max_steps": 5},
        {"max_epochs": 1, "accumulate_grad_batches": 3},
        {"fast_dev_run": 2},
    ],
    ids=str,
)
def test_plan_takes_the_steps_of_the_run(options, tmp_path, capsys):
    path, words = tmp_path / "plan.json", ["--config", "two_peaks", "--data.batch_size", "256"]
    options = {"max_steps": -1, **options}
    flags = [f"--trainer.{name}={value}" for name, value in options.items()]
    command = PlanCommand([*words, *flags, "--output", str(path)], "overtone")
    runner = fakes.trainer(**options)
    runner.fit(command.model, command.datamodule)
    assert json.loads(path.read_text())["steps"] == runner.global_step > 0


@pytest.mark.slow
def test_plan_refuses_the_epochs_that_a_run_would(capsys):
    epochs = ["--trainer.max_steps", "-1", "--trainer.max_epochs", "3"]
    parts = ["--trainer.limit_train_batches", "3", "--trainer.accumulate_grad_batches", "2"]
    said = refused(capsys, "plan", "--config", "two_peaks", *epochs, *parts)
    assert "An epoch has 3 batches, which is no multiple of" in said
    said = refused(capsys, "plan", "--config", "lagged_sines", *epochs)
    assert "max_epochs=3 counts passes over the training data, which have no end" in said
    for option, problem in (
        ("limit_train_batches=0.001", "=0.001 of the 62 batches of an epoch is less than one"),
        ("accumulate_grad_batches=0", "=0 makes no step; use at least 1"),
    ):
        said = refused(capsys, "plan", "--config", "two_peaks", f"--trainer.{option}")
        assert problem in said


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_plan_is_what_training_holds(recipe, tmp_path, capsys):
    path = tmp_path / "plan.json"
    words = ["--config", recipe, *RECIPES[recipe], "--output", str(path)]
    command = PlanCommand(words, "overtone")
    plan, held = json.loads(path.read_text()), Held()
    runner = fakes.trainer(max_steps=1, callbacks=[held])
    runner.fit(command.model, command.datamodule)
    memory = plan["memory_per_rank"]
    assert memory["activations"] == held.activations
    assert memory["gradients"] == held.gradients
    assert memory["optimizer"] == held.optimizer
    buffers = sum(b.numel() * b.element_size() for b in command.model.buffers())
    assert memory["weights"] == held.parameters + buffers
    runner.save_checkpoint(tmp_path / "a.ckpt")
    extra = (tmp_path / "a.ckpt").stat().st_size - plan["checkpoint_bytes"]
    assert 0 < extra < plan["checkpoint_at_most"] - plan["checkpoint_bytes"]
    tensors = 4 * len(list(command.model.parameters()))  # with two moments and a count
    assert plan["checkpoint_at_most"] - plan["checkpoint_bytes"] <= 1024 * (tensors + 70)


@pytest.mark.slow
def test_bench_and_mistakes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--config", "two_peaks", *FIVE]
    steps = ["--warmup", "2", "--steps", "4", "--peak", "0.1", "--output", "bench.json"]
    rows = printed(capsys, "bench", *words, *steps)
    speed = json.loads((tmp_path / "bench.json").read_text())
    assert speed["steps"] == 4
    assert speed["positions_per_s"] == 8 / speed["step_seconds"]
    used = speed["positions_per_s"] * speed["flops_per_position"] / 1e11
    assert speed["mfu"] == pytest.approx(used)
    assert rows["peak (as given)"] == ["0.1 TFLOP/s"]
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]
    plan = printed(capsys, "plan", *words, "--throughput", "bench.json")
    assert plan["positions per second"] == [f"{speed['positions_per_s']:,.0f}"]
    for flags, said in {
        ("bench", "--warmup", "9"): "ended after 9 steps, before any was measured",
        ("bench", "--steps", "0"): "--steps 0 is too small",
        ("bench", "--output", "bench.json"): "bench.json exists already; choose another name",
        ("plan", "--output", "bench.json"): "bench.json exists already; choose another name",
        ("bench", "--peak", "Voodoo"): "this GPU is not in the table",
        ("plan", "--throughput", "none.json"): "no number and no file of `bench --output`",
        ("plan", "--throughput", "-1"): "is not positive",
        ("plan", "--mfu", "0.4"): "add --peak",
        ("plan", "--mfu", "40", "--peak", "1"): "is no share",
        ("plan", "--mfu", ".4", "--peak", "1", "--throughput", "1"): "give one of them",
    }.items():
        assert said in refused(capsys, flags[0], *words, *flags[1:])


@pytest.mark.slow
def test_overlays_log_and_guard(tmp_path, capsys):
    overlays = ["--config", "callbacks/throughput", "--config", "callbacks/skip_spikes"]
    stop = ["--trainer.callbacks.action", "stop", "--trainer.callbacks.window", "2"]
    root = ["--trainer.default_root_dir", str(tmp_path), "--trainer.log_every_n_steps", "2"]
    cli.main(["fit", "--config", "two_peaks", *overlays, *stop, *FIVE, *root])
    (folder,) = (tmp_path / "two_peaks").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    logged = {"speed/positions_per_s", "speed/mfu", "speed/data_wait", "gradient_norm"}
    assert logged <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("gradient_norm")] == [2, 4, 6, 8]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["callbacks"][1]["init_args"]["action"] == "stop"
