"""The command line on a real recipe: runs, saved recipes, checkpoints, names of the command."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Callback
from lightning.pytorch.cli import LightningCLI
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import cli
from framework.console import verbs
from framework.console.errors import UserError
from framework.run_files import read_provenance
from framework.version import VERSION

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

SMOKE = ("--config", "two_peaks", "--config", "smoke")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three steps, with its checkpoints: the folder that it left."""
    folder = tmp_path_factory.mktemp("run")
    cli.main(["fit", *SMOKE, *options(folder, "enable_checkpointing=true", "max_steps=3")])
    return folder


def options(folder, *more):
    return [f"--trainer.{option}" for option in (f"default_root_dir={folder}", *more)]


def saved(folder, name="config.yaml"):
    return yaml.safe_load((folder / name).read_text())


def test_saves_the_resolved_recipe_beside_the_checkpoints(run):
    recipe = saved(run)
    assert recipe["trainer"]["max_steps"] == 3
    assert recipe["model"]["init_args"]["head"]["class_path"].endswith("FourierHead")
    assert "spec" not in recipe["model"]["init_args"]
    names = {"best.ckpt", "last.ckpt", "step=2.ckpt", "step=3.ckpt"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == names


def test_says_beside_the_recipe_how_it_was_started_and_where(run):
    noted = read_provenance(run / "config.yaml")
    assert noted.command[1:6] == ["fit", *SMOKE]
    assert noted.environment["overtone"].startswith(VERSION)


def test_a_run_is_reported_with_its_calibration(run):
    cli.main(["report", str(run), "--calibration", "16"])
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "Of best.ckpt, on 16 examples of validation." in text
    assert 'aria-label="PIT histogram"' in text
    assert re.search(r"trainer.max_steps</th><td>\d+</td><td>3</td>", text)


def test_the_saved_recipe_trains_to_the_same_weights(run, tmp_path):
    more = options(tmp_path, "limit_val_batches=0")
    cli.main(["fit", "--config", str(run / "config.yaml"), *more])
    first, second = (weights(folder / "checkpoints" / "last.ckpt") for folder in (run, tmp_path))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_second_run_in_the_same_folder_loses_nothing(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "copy")
    more = options(folder, "enable_checkpointing=true", "limit_val_batches=0", "max_steps=1")
    cli.main(["fit", *SMOKE, *more, "--model.optimizer.lr=0.5"])
    for name in ("config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (folder / name).read_bytes() == (run / name).read_bytes()
    optimizer = saved(folder, "config-1.yaml")["model"]["init_args"]["optimizer"]
    assert optimizer["init_args"]["lr"] == 0.5
    newer = torch.load(folder / "checkpoints" / "last-v1.ckpt", weights_only=True)
    assert newer["recipe"] == "config-1.yaml"


def test_last_checkpoint_is_that_of_the_last_step(run):
    """The run validates, and so saves the best one, after step 2."""
    steps = {
        path.stem: torch.load(path)["global_step"] for path in (run / "checkpoints").iterdir()
    }
    assert steps == {"best": 2, "last": 3, "step=2": 2, "step=3": 3}


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
    mixture = {"components": 8, "censored": False}
    assert recipe["model"]["init_args"]["head"]["init_args"] == mixture
    flags = ("--model.head", "LinearHead", "--model.head.bins", "32")
    recipe = resolve(capsys, "--config", "two_peaks", "--config", "heads/mixture", *flags)
    options = recipe["model"]["init_args"]["head"]["init_args"]
    assert options == {"bins": 32, "bias": True, "chunked": None, "scale": 1.0, "cap": None}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["strategy/ddp", "strategy/fsdp2", "strategy/fsdp"])
def test_strategies_are_found_by_name(place, capsys):
    strategy = resolve(capsys, "--config", "two_peaks", "--config", place)["trainer"]["strategy"]
    wanted = {"ddp": "DDPStrategy", "fsdp2": "FullyShardedStrategy", "fsdp": "FSDPStrategy"}
    assert strategy["class_path"].endswith(wanted[place.partition("/")[2]])


@pytest.mark.slow
def test_slurm_overlay_reads_the_job(capsys, monkeypatch):
    monkeypatch.setenv("SLURM_NNODES", "3")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    trainer = resolve(capsys, "--config", "two_peaks", "--config", "slurm")["trainer"]
    assert (trainer["num_nodes"], int(trainer["devices"])) == (3, 4)


@pytest.mark.slow
def test_parameters_in_double_precision_train(tmp_path):
    more = options(tmp_path, "limit_val_batches=0", "enable_checkpointing=true")
    cli.main(["fit", *SMOKE, "--config", "precision/double", *more])
    state = weights(tmp_path / "checkpoints" / "last.ckpt")
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {
        torch.float64
    }


def test_evaluates_a_checkpoint_by_the_recipe_beside_it(run, capsys):
    # nothing is returned: `sys.exit(main())` must end with status 0
    assert cli.main(["test", "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]) is None
    said = capsys.readouterr()
    assert f"Recipe of the checkpoint: {run / 'config.yaml'}" in said.err
    assert "nll" in said.out


def test_predictions_are_json_lines(run):
    cli.main(["predict", f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"])
    rows = (run / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(row)["id"] for row in rows] == list(range(len(rows)))
    assert rows


def test_a_run_goes_on_by_its_checkpoint_alone_with_what_is_changed(run, tmp_path):
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    more = options(tmp_path, "max_steps=4", "limit_val_batches=0")
    changes = ["--model.schedule=Constant", "--model.schedule.warmup=0"]
    cli.main(["fit", "--ckpt_path", checkpoint, *more, *changes, "--model.optimizer.lr=1e-5"])
    assert "Constant" in saved(tmp_path)["model"]["init_args"]["schedule"]["class_path"]
    after = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert after["global_step"] == 4
    assert "Constant" in after["hyper_parameters"]["schedule"]["class_path"]
    assert {group["lr"] for group in after["optimizer_states"][0]["param_groups"]} == {1e-5}


def test_a_run_starts_from_what_fits_another_head(run, tmp_path, capsys):
    checkpoint = run / "checkpoints" / "last.ckpt"
    more = options(tmp_path, "enable_checkpointing=true", "limit_val_batches=0")
    words = ["--model.head=NormalHead", "--model.optimizer.lr=0.0"]
    cli.main(["fit", *SMOKE, "--init_from", str(checkpoint), *more, *words])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[rows.index(["part", "loaded", "fresh", "left", "out"]) + 2] == [
        *("stem", "192", "0", "0")
    ]
    before, after = weights(checkpoint), weights(tmp_path / "checkpoints" / "last.ckpt")
    kept = [name for name in after if not name.startswith("head.")]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert saved(tmp_path)["model"]["init_args"]["initialization"]["init_args"]["path"] == str(
        checkpoint
    )


class PressCtrlC(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGINT)


def ends(*args):
    """The status with which a command line ends."""
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", *SMOKE, *args])
    return end.value.code


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys):
    more = options(tmp_path, "enable_checkpointing=true", "max_steps=3", "limit_val_batches=0")
    assert ends(*more, "--trainer.callbacks=tests.test_cli.PressCtrlC") == 75
    step = tmp_path / "checkpoints" / "step=2.ckpt"
    said = capsys.readouterr().err.splitlines()[-1]
    command = " ".join(["lightning fit", *SMOKE, *more])
    assert said.startswith(f"Stopped by Ctrl-C at step 2; go on from {step} with `{command}")
    assert said.endswith(" --resume auto`.")
    cli.main(["fit", *SMOKE, *more, "--resume", "auto"])
    assert torch.load(step.with_name("last.ckpt"), weights_only=True)["global_step"] == 3


class Fail(Callback):
    def __init__(self, step: int, bug: bool = False):
        self.step, self.bug = step, bug

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KeyError("a bug") if self.bug else UserError("The run cannot go on; stop.")


@pytest.mark.slow
def test_a_failed_run_has_another_status_than_a_mistake(tmp_path, capsys):
    more = (*options(tmp_path), "--trainer.callbacks=tests.test_cli.Fail")
    assert ends(*more, "--trainer.callbacks.step=0") == 2
    assert ends(*more, "--trainer.callbacks.step=1") == 1
    said = capsys.readouterr().err
    assert said.count("lightning fit: error: The run cannot go on; stop.\n") == 2
    assert "The run failed at step 1; nothing is saved without the callback Checkpoint" in said
    with pytest.raises(KeyError):  # a bug keeps its traceback, and Python ends with status 1
        ends(*more, "--trainer.callbacks.step=1", "--trainer.callbacks.bug=true")


QUICK = {  # what needs no model, and a part of what it prints
    "--help": "usage: lightning COMMAND",
    "-h": "Status at the end: 0 done, 1 failed while training",
    "--version": "lightning ",
    "recipes": "quickstart ",
    "fti": "error: there is no command 'fti'; did you mean fit?",
    "": "error: a command is missing; choose from fit, validate,",
    "recipes please": "error: recipes takes no arguments",
    "fit --config two_peeks": "did you mean two_peaks",
}
EACH = """
import sys, cli
sys.argv[0], sys.stderr = "lightning", sys.stdout
for line in sys.stdin.read().splitlines():
    try:
        cli.main(line.split())
    except SystemExit as end:
        print(end.code)
    print("---")
print(*{"torch", "lightning", "jsonargparse", "numpy"}.intersection(sys.modules))
"""


def test_help_recipes_and_refusals_wait_for_no_import(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", EACH],
        input="\n".join(QUICK), cwd=tmp_path, env={"PYTHONPATH": str(Path(cli.__file__).parent)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *said, imported = done.stdout.split("---\n")
    assert imported.strip() == ""
    for text, (line, expected) in zip(said, QUICK.items(), strict=True):
        assert expected in text, line
        assert text.endswith("\n2\n") == ("error" in expected or "did you mean" in expected), line


def test_help_lists_every_verb_with_its_sentence(capsys):
    cli.main(["--help"])
    rows = re.findall(r"^  (\w+) +(\S.*\.)$", capsys.readouterr().out, re.MULTILINE)
    listed = dict(rows)
    assert listed.items() >= verbs.sentences().items()
    assert {"study", "import", "export"} < verbs.sentences().keys()
    assert {*LightningCLI.subcommands(), "recipes"} == listed.keys() - verbs.sentences().keys()


def test_recipes_are_listed_with_a_sentence(capsys):
    cli.main(["recipes"])
    lines = capsys.readouterr().out.splitlines()
    assert {"quickstart", "heads/fourier", "strategy/ddp", "smoke"} <= {
        x.split()[0] for x in lines
    }
    assert all(len(line.split()) > 3 for line in lines)


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """Puts a command `srun` on the path, as wherever Slurm is installed."""
    file = tmp_path / "bin" / "srun"
    file.parent.mkdir()
    file.touch(0o755)
    monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def test_the_suite_passes_where_slurm_is_installed(srun):
    assert not SLURMEnvironment.detect()  # Lightning warns, and warnings are errors here


@pytest.mark.slow
@pytest.mark.parametrize("job", [False, True])
def test_a_run_warns_of_srun_only_in_a_job(job, srun, tmp_path, monkeypatch):
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cli.main(["fit", *SMOKE, *options(tmp_path, "max_steps=1", "limit_val_batches=0")])
    assert any("`srun` command is available" in str(one.message) for one in caught) == job


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
    assert version.strip() == VERSION


@pytest.mark.slow
def test_a_run_that_goes_on_elsewhere_leaves_its_files_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--data.batch_size=8"]
    cli.main(["fit", "--config", "two_peaks", *short])
    (path,) = tmp_path.rglob("last.ckpt")
    cli.main(["test", "--ckpt_path", str(path), "--trainer.default_root_dir=elsewhere"])
    assert list((tmp_path / "elsewhere").rglob("metrics.json"))
    (log,) = tmp_path.rglob("events.out.*")  # none of the test, which would be a run of its own
    assert log.parent == path.parent.parent
    logged = EventAccumulator(str(log.parent)).Reload().Tags()["scalars"]
    assert "val/nll" in logged
    assert "epoch" not in logged


def test_a_part_of_what_is_not_chosen_is_refused(capsys):
    words = ["--model.head=LinearHead", "--model.head.bins.size=64", "--print_config"]
    with pytest.raises(SystemExit):
        cli.main(["fit", "--config", "chronos_small", *words])
    said = capsys.readouterr().err
    assert "there is no class yet that has 'size'; choose one first" in said


def test_a_folder_that_cannot_be_written_to_is_named_before_anything_runs(
    tmp_path, monkeypatch, capsys
):
    """As root may write anywhere, the answer of the system is replaced."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and access(path, mode))
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", "--config", "two_peaks", f"--trainer.default_root_dir={tmp_path / 'a'}"])
    assert end.value.code == 2
    assert f"{tmp_path} cannot be written to; give another folder as" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
