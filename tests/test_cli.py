"""The command line on a real recipe: runs, saved recipes, checkpoints, names of the command."""

import json
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Callback

import cli

SMOKE = ("--config", "two_peaks", "--config", "smoke")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two steps, with its checkpoints: the folder that it left."""
    folder = tmp_path_factory.mktemp("run")
    cli.main(["fit", *SMOKE, *options(folder, "enable_checkpointing=true")])
    return folder


def options(folder, *more):
    return [f"--trainer.{option}" for option in (f"default_root_dir={folder}", *more)]


def saved(folder, name="config.yaml"):
    return yaml.safe_load((folder / name).read_text())


def test_saves_the_resolved_recipe_beside_the_checkpoints(run):
    recipe = saved(run)
    assert recipe["trainer"]["max_steps"] == 2
    assert recipe["model"]["init_args"]["head"]["class_path"].endswith("FourierHead")
    assert "spec" not in recipe["model"]["init_args"]
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_the_saved_recipe_trains_to_the_same_weights(run, tmp_path):
    more = options(tmp_path, "limit_val_batches=0")
    cli.main(["fit", "--config", str(run / "config.yaml"), *more])
    first, second = (weights(folder / "checkpoints" / "last.ckpt") for folder in (run, tmp_path))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_second_run_in_the_same_folder_loses_nothing(tmp_path):
    command = [
        "fit",
        *SMOKE,
        *options(tmp_path, "enable_checkpointing=true", "limit_val_batches=0"),
    ]
    cli.main(command)
    first = (tmp_path / "config.yaml").read_bytes()
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    cli.main([*command, "--model.optimizer.lr=0.5"])
    assert (tmp_path / "config.yaml").read_bytes() == first
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == before
    assert (
        saved(tmp_path, "config-1.yaml")["model"]["init_args"]["optimizer"]["init_args"]["lr"]
        == 0.5
    )
    newer = torch.load(tmp_path / "checkpoints" / "last-v1.ckpt", weights_only=True)
    assert newer["recipe"] == "config-1.yaml"


def test_last_checkpoint_is_that_of_the_last_step(tmp_path):
    more = options(tmp_path, "enable_checkpointing=true", "max_steps=3")
    cli.main(["fit", *SMOKE, *more])  # validates, and so saves, after step 2
    assert (
        torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == 2
    )
    assert (
        torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    )


def resolve(capsys, *args):
    """What a command line composes to, as it would be saved."""
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", *args, "--print_config"])
    assert end.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_defaults_of_the_trainer(capsys):
    recipe = resolve(capsys, "--config", "two_peaks", "--trainer.default_root_dir", "elsewhere")
    trainer, logger = recipe["trainer"], recipe["trainer"]["logger"]
    assert logger["class_path"].endswith("TensorBoardLogger")
    assert (logger["init_args"]["save_dir"], logger["init_args"]["name"]) == (
        "elsewhere",
        "two_peaks",
    )
    assert recipe["seed_everything"] == 1
    assert trainer["max_epochs"] == -1
    assert trainer["use_distributed_sampler"] is False
    assert trainer["check_val_every_n_epoch"] is None


def test_a_head_overlay_drops_foreign_options_and_flags_win(capsys):
    recipe = resolve(capsys, "--config", "two_peaks", "--config", "heads/mixture")
    assert recipe["model"]["init_args"]["head"]["init_args"] == {"components": 8}
    flags = ("--model.head", "LinearHead", "--model.head.bins", "32")
    recipe = resolve(capsys, "--config", "two_peaks", "--config", "heads/mixture", *flags)
    assert recipe["model"]["init_args"]["head"]["init_args"] == {"bins": 32, "bias": True}


@pytest.mark.parametrize("place", ["strategy/ddp", "strategy/fsdp2", "strategy/fsdp"])
def test_strategies_are_found_by_name(place, capsys):
    strategy = resolve(capsys, "--config", "two_peaks", "--config", place)["trainer"]["strategy"]
    wanted = {"ddp": "DDPStrategy", "fsdp2": "FullyShardedStrategy", "fsdp": "FSDPStrategy"}
    assert strategy["class_path"].endswith(wanted[place.partition("/")[2]])


def test_slurm_overlay_reads_the_job(capsys, monkeypatch):
    monkeypatch.setenv("SLURM_NNODES", "3")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    trainer = resolve(capsys, "--config", "two_peaks", "--config", "slurm")["trainer"]
    assert (trainer["num_nodes"], int(trainer["devices"])) == (3, 4)


@pytest.mark.parametrize("precision", ["bf16", "bf16_true", "double"])
def test_precision_overlays_train(precision, tmp_path, capsys):
    more = options(tmp_path, "limit_val_batches=0")
    cli.main(["fit", *SMOKE, "--config", f"precision/{precision}", *more])
    assert "Metrics after 2 steps" in capsys.readouterr().out


def test_evaluates_a_checkpoint_by_the_recipe_beside_it(run, capsys):
    # nothing is returned: `sys.exit(main())` must end with status 0
    assert cli.main(["test", "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]) is None
    said = capsys.readouterr()
    assert f"Recipe of the checkpoint: {run / 'config.yaml'}" in said.err
    assert "nll" in said.out


def test_predictions_are_json_lines(run):
    cli.main(["predict", f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"])
    rows = (run / "predictions-0.jsonl").read_text().splitlines()
    assert rows
    assert all(isinstance(json.loads(row), dict) for row in rows)


def test_the_recipe_rules_when_a_run_goes_on(run, tmp_path):
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    more = options(tmp_path, "enable_checkpointing=true", "max_steps=4", "limit_val_batches=0")
    cli.main(["fit", *SMOKE, "--ckpt_path", checkpoint, *more, "--model.schedule=Constant"])
    assert "Constant" in saved(tmp_path)["model"]["init_args"]["schedule"]["class_path"]
    after = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert after["global_step"] == 4
    assert "Constant" in after["hyper_parameters"]["schedule"]["class_path"]


class PressCtrlC(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 1:
            raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on(tmp_path, capsys):
    handler = signal.getsignal(signal.SIGINT)
    more = ("--trainer.callbacks=tests.test_cli.PressCtrlC", "--checkpoint.every_n_train_steps=1")
    try:
        with pytest.raises(SystemExit) as end:
            cli.main(["fit", *SMOKE, *options(tmp_path, "enable_checkpointing=true"), *more])
    finally:
        signal.signal(signal.SIGINT, handler)
    assert end.value.code == 130
    last = tmp_path / "checkpoints" / "last.ckpt"
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"lightning fit: stopped by Ctrl-C; go on with --ckpt_path {last}"
    assert torch.load(last, weights_only=True)["global_step"] == 1


def test_recipes_are_listed_without_waiting_for_torch(tmp_path):
    script = "import cli, sys; cli.main(['recipes']); sys.exit('torch' in sys.modules)"
    root = Path(cli.__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"quickstart", "heads/fourier", "strategy/ddp", "smoke"} <= names
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["overtone", "lightning"])
def test_both_names_are_ours(name):
    if not any(d.name == "overtone" for d in metadata.distributions()):
        pytest.skip("Overtone is not installed, only on the path")
    (script,) = metadata.entry_points(group="console_scripts", name=name)
    assert script.load() is cli.main


def test_warns_of_another_owner_of_the_name(monkeypatch, capsys):
    class Owner:
        name = "litserve"

    class Script:
        value, dist = "litserve.__main__:main", Owner()

    monkeypatch.setattr(metadata, "entry_points", lambda **_: [Script()])
    cli.main(["recipes"])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "also installed by litserve" in said
    assert "pip uninstall litserve" in said


def test_version(capsys):
    cli.main(["--version"])
    program, version = capsys.readouterr().out.split(maxsplit=1)
    assert program == "lightning"
    assert version.startswith(("0.", "of a checkout"))
