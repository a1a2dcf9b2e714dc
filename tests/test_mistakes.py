"""An error of the user ends in one sentence and status 2; a bug keeps its traceback."""

import re
from importlib.util import find_spec

import pytest
import torch
from lightning.pytorch import Callback

import cli
from framework.interruptions import DIVERGED

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

PEAKS = ("fit", "--config", "two_peaks")


def fails(capsys, *args):
    """What the command line says on its last line, after checking that it is one sentence."""
    with pytest.raises(SystemExit) as end:
        cli.main(list(args))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.count("error:") == 1
    return said.splitlines()[-1]


COMMAND_LINES = {
    "no command": ([], "lightning: error: a command is missing; choose from fit,"),
    "misspelt command": (["fti"], "there is no command 'fti'; did you mean fit?"),
    "no recipe": (["fit"], "nothing says what data and model to use; name a recipe, for example"),
    "unknown option": ([*PEAKS, "--trainer.max_step", "3"], "did you mean --trainer.max_steps or"),
    "no such option": ([*PEAKS, "--zzz=3"], "there is no option --zzz; --help lists all."),
    "superfluous word": ([*PEAKS, "now"], "there is no option now;"),
    "name of a recipe": (["fit", "two_peaks"], "did you mean --config two_peaks?"),
    "short name": ([*PEAKS, "--learning_rate", "3"], "did you mean --model.optimizer.lr?"),
    "incomplete name": (
        [*PEAKS, "--model.lr", "3"],
        "model.lr: DensityModel has no option 'lr'; did you mean --model.optimizer.lr?",
    ),
    "data that need an option": (
        [*PEAKS, "--data", "SeriesData"],
        "data: SeriesData needs source; give --data.source (Arrays, Competition, ",
    ),
    "no value": ([*PEAKS, "--config"], "argument -c/--config: expected one argument"),
    "bad value": (
        [*PEAKS, "--trainer.max_steps", "many"],
        "trainer.max_steps: expected int, got many",
    ),
    "bad nested value": (
        [*PEAKS, "--model.head.frequencies", "many"],
        "model.head.frequencies: expected int, got many",
    ),
    "bad choice": ([*PEAKS, "--trainer.precision", "bf17"], "'bf16', got bf17"),
    "misspelt head": (
        [*PEAKS, "--model.head", "FouriertHead"],
        "model.head: there is no class 'FouriertHead' to choose here; did you mean FourierHead or",
    ),
    "misspelt model": ([*PEAKS, "--model", "DensityModl"], "did you mean DensityModel or"),
    "misspelt data": ([*PEAKS, "--data", "DensityDta"], "did you mean DensityData?"),
    "misspelt optimizer": ([*PEAKS, "--model.optimizer", "Adamm"], "did you mean Adam or"),
    "misspelt loss": ([*PEAKS, "--model.losses.bend", "Rougness"], "did you mean Roughness?"),
    "class of another kind": (
        [*PEAKS, "--model.head", "MLP"],
        "model.head: there is no class 'MLP' to choose",
    ),
    "unknown option of a head": (
        [*PEAKS, "--model.head.frequency", "3"],
        "did you mean frequencies?",
    ),
    "option that code provides": (
        [*PEAKS, "--model.head.dim", "3"],
        "FourierHead gets 'dim' from the model and the data; drop it",
    ),
    "no such module": (
        [*PEAKS, "--model.head", "my_own_heads.LaplaceHead"],
        "model.head: there is no module 'my_own_heads' in the working directory",
    ),
    "no such recipe": (["fit", "--config", "two_peeks"], "did you mean two_peaks"),
    "no such file": (
        ["fit", "--config=nowhere/x.yaml"],
        "there is no file and no shipped recipe 'nowhere/x.yaml'",
    ),
    "no such checkpoint": ([*PEAKS, "--ckpt_path", "no.ckpt"], "There is no checkpoint 'no.ckpt'"),
    "no such checkpoint and no recipe": (
        ["test", "--ckpt_path=no.ckpt"],
        "There is no checkpoint",
    ),
    "weights of nothing": (
        ["test", "--config", "two_peaks"],
        "test reads the weights of a trained model; give --ckpt_path PATH, or",
    ),
    "overlay for another backbone": (
        [*PEAKS, "--config", "myopic/hidden"],
        "model.backbone: Myopic needs Decoder or EncoderDecoder, and this is MLP, which has no",
    ),
    "option of another class": (
        [*PEAKS, "--model.backbone.heads", "2"],
        "model.backbone.heads: MLP has no option 'heads'; Decoder or EncoderDecoder has",
    ),
    "no default that a recipe could hold": (
        [*PEAKS, "--trainer.callbacks", "Timer"],
        "An option is <Interval.step: 'step'> by default, which a recipe cannot hold",
    ),
    "going on and starting": (
        [*PEAKS, "--ckpt_path", "a.ckpt", "--init_from", "b.ckpt"],
        "--ckpt_path goes on with a run, --init_from starts one",
    ),
    "refused by a constructor": (
        [*PEAKS, "--model.losses={}"],
        "losses={} leaves nothing to minimize",
    ),
    "arguments of a list": (
        ["recipes", "please"],
        "lightning recipes: error: recipes takes no arguments",
    ),
    "interpolation": ([*PEAKS, "--data.seed", "${nope}"], "Interpolation key 'nope' not found"),
}


@pytest.mark.parametrize(("args", "expected"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_command_line(args, expected, capsys):
    said = fails(capsys, *args)
    assert said.startswith("lightning")
    assert expected in said


RECIPES = {
    "syntax": ("model:\n  head: [LinearHead\ntrainer:\n", "recipe.yaml, line 3, column"),
    "nesting": (
        "model: DensityModel\n  head: LinearHead\n",
        "recipe.yaml, line 2, column 7: this is not YAML",
    ),
    "tab": ("model:\n\thead: LinearHead\n", "recipe.yaml, line 2, column 1: this is not YAML"),
    "key given twice": (
        "trainer:\n  max_steps: 3\nmodel: DensityModel\ntrainer: {max_time: 3}\n",
        "recipe.yaml, line 4: trainer is given twice, first in line 1.",
    ),
    "trainer without options": (
        "trainer: 3\n",
        "recipe.yaml, line 1: trainer: expected a mapping of options, got 3",
    ),
    "checkpoint without options": ("checkpoint:\n", "line 1: checkpoint: expected a mapping"),
    "alias inside itself": ("model: &a {head: *a}\n", "recipe.yaml, line 1: an alias (*name) "),
    "nested deeply": (f"x: {'[' * 99}{']' * 99}\n", "line 1: this is nested more than 60 levels"),
    "nested too deeply to read": (f"x: {'[' * 3000}\n", "recipe.yaml: this is nested too deeply"),
    "no date": ("x: 2020-13-45\n", "recipe.yaml: this is not YAML: month must be in 1..12"),
    "merge of a number": ("<<: 3\n", "recipe.yaml, line 1, column 5: this is not YAML"),
    "tag": ("x: !tag 3\n", "recipe.yaml, line 1, column 4: this is not YAML"),
    "list": ("- model\n- data\n", "a recipe is a mapping"),
    "empty": ("", "a recipe is a mapping"),
    "unknown key": (
        "models: DensityModel\n",
        "recipe.yaml, line 1: there is no option models; did you mean model?",
    ),
    "unknown nested key": (
        "trainer:\n  max_step: 3\n",
        "recipe.yaml, line 2: there is no option trainer.max_step; did you mean trainer.max_steps",
    ),
    "unknown option of a class": (
        "model:\n  head:\n    bin: 3\n",
        "recipe.yaml, line 3: model.head.bin: FourierHead has no option 'bin'; did you mean bins?",
    ),
    "value of another type": (
        "model:\n  optimizer:\n    lr: 1e-3x\n",
        "recipe.yaml, line 3: model.optimizer.lr: expected float, got 1e-3x",
    ),
    "interpolation": ("data:\n  seed: ${nope}\n", "recipe.yaml, line 2: data.init_args.seed: "),
    "option in a list": (
        "trainer:\n  callbacks:\n    class_path: Timer\n    init_args: {intervl: x}\n",
        "recipe.yaml, line 4: trainer.callbacks.intervl: Timer has no option 'intervl'",
    ),
    "refused by a constructor": (
        "model:\n  losses:\n    nll:\n      weight: -1\n",
        "recipe.yaml, line 4: NegativeLogLikelihood: weight=-1.0 is negative",
    ),
}


@pytest.mark.parametrize(("text", "expected"), RECIPES.values(), ids=RECIPES)
def test_recipe(text, expected, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    root = f"--trainer.default_root_dir={tmp_path}"
    said = fails(capsys, *PEAKS, "--config", "smoke", "--config", str(recipe), root)
    assert expected in said
    assert str(recipe) in said


def test_a_head_that_cannot_serve_a_support(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, " * 200)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"data: {{class_path: TokenData, init_args: {{length: 8, tokenizer: ByteTokenizer, source:"
        f" {{class_path: TextFiles, init_args: {{train: {text}, holdout: 0.3}}}}}}}}\n"
    )
    base = ("fit", "--config", "sotu", "--config", str(recipe), "--config", "smoke")
    root = f"--trainer.default_root_dir={tmp_path}"
    said = fails(capsys, *base, root, "--model.head", "NormalHead")
    assert "NormalHead" in said
    said = fails(capsys, *base, root, "--model.head", "LinearHead", "--model.head.bins", "8")
    assert "error: Tokens are discrete already" in said
    assert said.endswith("drop bins=8.")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--model.head.frequencies=0", "FourierHead: frequencies=0; it needs at least 1"),
        ("--model.losses.nll.weight=-1", "NegativeLogLikelihood: weight=-1.0 is negative"),
        ("--model.optimizer.lr=-1", "Invalid learning rate: -1.0"),
        ("--trainer.strategy=ddpp", "strategy='ddpp'"),
        ("--trainer.devices=0", "devices='0'"),
    ],
)
def test_value_that_is_refused_when_parts_are_built(option, expected, tmp_path, capsys):
    root = f"--trainer.default_root_dir={tmp_path}"
    assert expected in fails(capsys, *PEAKS, "--config", "smoke", root, option)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    options = ("--trainer.enable_checkpointing=true", f"--trainer.default_root_dir={folder}")
    cli.main([*PEAKS, "--config", "smoke", *options])
    return folder / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize(
    ("command", "option", "expected"),
    [
        (
            "fit",
            "--model.head=LinearHead",
            "was made with the head FourierHead, the recipe says LinearHead",
        ),
        (
            "validate",
            "--model.backbone.dim=32",
            "of another architecture: stem.embedding.weight is [64, ",
        ),
    ],
)
def test_checkpoint_of_another_architecture(
    command, option, expected, checkpoint, tmp_path, capsys
):
    root = f"--trainer.default_root_dir={tmp_path}"
    base = (command, "--config", "two_peaks", "--config", "smoke", root)
    assert expected in fails(capsys, *base, "--ckpt_path", str(checkpoint), option)


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "--config", "two_peaks", "--config", "smoke", "--ckpt_path"),
        (*PEAKS, "--config", "smoke", "--init_from"),
    ],
    ids=lambda words: words[0] + words[-1],
)
def test_parameters_that_are_nan(words, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = torch.load(checkpoint, weights_only=True)
    state["state_dict"]["head.projection.weight"][0, 1] = torch.nan
    torch.save(state, tmp_path / "diverged.ckpt")
    said = fails(capsys, *words, "diverged.ckpt")
    assert ": 1 of the " in said
    assert "values of 'head.projection.weight' in the checkpoint are NaN" in said


def test_training_that_diverges_has_a_status_of_its_own(tmp_path, capsys):
    options = ("--model.optimizer.lr=1e30", "--trainer.max_steps=20")
    with pytest.raises(SystemExit) as end:
        cli.main([*PEAKS, "--config", "smoke", *options, f"--trainer.default_root_dir={tmp_path}"])
    assert end.value.code == DIVERGED == 3
    assert re.search(r"the loss term 'nll' is (nan|inf) at step \d", capsys.readouterr().err)


def test_damaged_checkpoint(checkpoint, tmp_path, capsys):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(checkpoint.read_bytes()[:1000])
    assert "damaged" in fails(capsys, *PEAKS, "--ckpt_path", str(damaged))


def test_checkpoint_with_code_in_it(tmp_path, capsys):
    unsafe = tmp_path / "unsafe.ckpt"
    torch.save({"state_dict": Callback()}, unsafe)
    assert "unsafe.ckpt" in fails(capsys, *PEAKS, "--ckpt_path", str(unsafe))


def test_checkpoint_without_a_recipe(checkpoint, tmp_path, capsys):
    lonely = tmp_path / "lonely.ckpt"
    lonely.write_bytes(checkpoint.read_bytes())
    assert "say with --config which one made it" in fails(
        capsys, "test", "--ckpt_path", str(lonely)
    )


def test_a_file_that_is_no_checkpoint(capsys, tmp_path):
    other = tmp_path / "other.ckpt"
    torch.save({"weights": torch.zeros(1)}, other)
    told = fails(capsys, *PEAKS, "--config", "smoke", "--ckpt_path", str(other))
    assert "is not the checkpoint of a run; use one that was saved by Overtone" in told


def test_a_module_for_other_data(capsys):
    told = fails(capsys, *PEAKS, "--config", "smoke", "--model", "LanguageModel")
    assert "LanguageModel reads data that publish a TokenSpec, these publish a DensitySpec" in told


def test_clipping_to_a_negative_norm(capsys):
    told = fails(capsys, *PEAKS, "--config", "smoke", "--trainer.gradient_clip_val", "-1")
    assert "trainer.gradient_clip_val=-1 is negative; give a positive norm, or null" in told


def test_a_negative_number_of_workers(capsys):
    told = fails(capsys, *PEAKS, "--config", "smoke", "--data.num_workers", "-1")
    assert "num_workers=-1 is negative; use 0" in told


class Choosy(Callback):
    def __init__(self):
        raise ModuleNotFoundError("This is Choosy: use another.")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--trainer.model_registry=x", "model_registry=x needs litmodels, which is not installed"),
        ("--trainer.barebones=true", "disabled in barebones mode"),
        ("--trainer.callbacks=tests.test_mistakes.Choosy", "error: This is Choosy: use another."),
        ("--trainer.callbacks=LearningRateFinder", "try rates with --model.optimizer.lr"),
    ],
)
def test_refused_options_of_the_trainer(option, expected, capsys):
    assert expected in fails(capsys, *PEAKS, "--config", "smoke", option)


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_what_is_not_installed(capsys):
    said = fails(capsys, *PEAKS, "--config", "smoke", "--trainer.logger", "WandbLogger")
    assert re.search(r"WandbLogger needs wandb, which is not installed; run `pip install", said)


class Buggy(Callback):
    def on_train_batch_start(self, *_):
        torch.zeros(2).view(3)


class Refusing(Callback):
    def on_train_batch_start(self, *_):
        raise ValueError("someone else's bug")


@pytest.mark.parametrize(("bug", "error"), [("Buggy", RuntimeError), ("Refusing", ValueError)])
def test_a_bug_keeps_its_traceback(bug, error, tmp_path):
    root = f"--trainer.default_root_dir={tmp_path}"
    with pytest.raises(error):
        cli.main(
            [*PEAKS, "--config", "smoke", root, f"--trainer.callbacks=tests.test_mistakes.{bug}"]
        )


def test_debugging_shows_the_traceback_of_a_mistake(monkeypatch):
    monkeypatch.setenv("OVERTONE_DEBUG", "1")
    with pytest.raises(Exception, match="FouriertHead"):
        cli.main([*PEAKS, "--model.head", "FouriertHead"])


def test_a_callback_that_the_recipe_has_already(tmp_path, capsys):
    root = f"--trainer.default_root_dir={tmp_path}"
    again = "--trainer.callbacks+=SpikeGuard"
    recipe = ("--config", "two_peaks", "--config", "smoke", "--config", "callbacks/skip_spikes")
    said = fails(capsys, "fit", *recipe, again, root)
    assert "trainer.callbacks has SpikeGuard more than once" in said
