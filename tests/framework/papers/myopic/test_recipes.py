"""Myopic overlays on recipes of every kind, and the published sizes of language models."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

import cli
from components.data import TokenSpec
from components.layers.myopic.attention import Bigram, GivenPast, Myopic
from components.supports import Tokens
from framework.console import recipes
from framework.exchange.configuration import Configuration
from framework.exchange.conversion import FORMATS
from framework.modules import LanguageModel
from tests.framework.modules.described import instantiate
from tests.test_recipes import OBJECTIVE, two_steps

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

PILE = TokenSpec(Tokens(50_304), 64, 4.0)  # 50,277 tokens, filled up to a multiple of 128
WEB = TokenSpec(Tokens(50_257), 1024, 4.0)


def unbuilt(recipe, overlay=None, spec=PILE, **changes):
    """Makes the module of a recipe."""
    options = yaml.safe_load(recipes.find(recipe).read_text())["model"]["init_args"]
    backbone = options["backbone"]["init_args"]
    if overlay is not None:
        over = yaml.safe_load(recipes.find(overlay).read_text())["model"]["init_args"]
        backbone.update(over["backbone"]["init_args"])
    backbone.update(changes)
    path = {"_class_path": "framework.modules.LanguageModel", "spec": spec}
    return instantiate(LanguageModel, {**path, **options})


def model(*recipe, **changes):
    """Builds the model of a recipe without storage."""
    module = unbuilt(*recipe, **changes)
    with torch.device("meta"):
        module.configure_model()
    return module


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("overlay", "total", "without_embeddings"),
    [
        ("pythia/14m", 14_067_712, 1_189_888),
        ("pythia/31m", 30_494_720, 4_739_072),
        (None, 70_426_624, 18_915_328),
        ("pythia/160m", 162_322_944, 85_056_000),
        ("pythia/410m", 405_334_016, 302_311_424),
        ("pythia/1b", 1_011_781_632, 805_736_448),
        ("pythia/1.4b", 1_414_647_808, 1_208_602_624),
        ("pythia/2.8b", 2_775_208_960, 2_517_652_480),
    ],
)
@pytest.mark.slow
def test_sizes_are_those_that_pythia_publishes(overlay, total, without_embeddings):
    """Biderman et al. (arXiv:2304.01373), table 1, and the page of the two smallest models."""
    module = model("myopic/pythia", overlay)
    assert size(module) == total
    assert size(module.backbone) == without_embeddings


@pytest.mark.slow
def test_the_recipe_is_the_published_pythia():
    """So that `--init_from` finds every parameter, and they compute the same."""
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
    values = {**sizes, "num_hidden_layers": 6, "vocab_size": 50304, "rotary_pct": 0.25}
    plan = FORMATS["gpt_neox"].plan(Configuration("pythia-70m", values), {})
    built, options = model("myopic/pythia"), plan.backbone.keywords
    shapes = {name: shape for one in plan.tensors for name, shape in one.ours.items()}
    assert {name: tuple(p.shape) for name, p in built.named_parameters()} == shapes
    assert {type(block) for block in built.backbone.blocks} == {options["block"].func}
    marks = options["positions"].keywords
    assert built.backbone.positions.width == marks["fraction"] * 512 / 8
    assert built.backbone.positions.theta == marks["theta"]
    assert built.backbone.norm.eps == options["norm"].keywords["eps"]
    assert isinstance(built.backbone.blocks[0].feedforward.activation, torch.nn.GELU)


def test_gpt2_has_the_parameters_of_gpt2():
    """124,439,808 with 1,024 positions, as its published checkpoint counts."""
    places = {"class_path": "Learned", "init_args": {"length": 1024}}
    assert size(model("myopic/gpt2", spec=WEB, positions=places)) == 124_439_808


OPERATORS = {
    "hidden": partial(Myopic, constant="hidden"),
    "keys": partial(Myopic, constant="keys"),
    "bigram": Bigram,
    "local": GivenPast,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_an_overlay_changes_the_attention_alone(name):
    kind = OPERATORS[name]
    over = yaml.safe_load(recipes.find(f"myopic/{name}").read_text())
    assert [*over] == ["model"]
    assert over["model"].get("class_path") == ("LocalLanguageModel" if name == "local" else None)
    assert [*over["model"]["init_args"]] == ["backbone"]
    assert [*over["model"]["init_args"]["backbone"]["init_args"]] == ["attention"]
    backbone = unbuilt("planning", f"myopic/{name}")._backbone()
    operator = backbone.blocks[0].attention.operator
    wanted = kind(dropout=0.0)
    assert type(operator) is type(wanted)
    assert getattr(operator, "constant", None) == getattr(wanted, "constant", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "overlay"),
    [
        ("lagged_sines", "hidden"),
        ("quickstart", "bigram"),
        ("planning", "hidden"),
        ("pendulum", "keys"),
        ("fanformer/tiny", "keys"),
    ],
)
def test_two_steps_of_every_kind(recipe, overlay, tmp_path, capsys):
    two_steps(recipes.find(recipe), tmp_path, f"myopic/{overlay}")
    assert re.search(OBJECTIVE, capsys.readouterr().out, re.MULTILINE)


def fitted(folder, *words):
    """Trains two steps and returns the checkpoint."""
    small = ["--config", "smoke", "--trainer.enable_checkpointing", "true"]
    cli.main(["fit", *words, *small, f"--trainer.default_root_dir={folder}"])
    [checkpoint] = Path(folder).rglob("last.ckpt")
    return str(checkpoint)


def validation(capsys):
    """Reads the last column of the table, of the rows that have been validated."""
    table = capsys.readouterr().out.partition("Metrics after")[2].partition("Picture")[0]
    rows = [line.split() for line in table.splitlines()[2:] if line.split()[1:]]
    return {name: float(numbers[-1]) for name, *numbers in rows if name not in ("loss", "lr")}


@pytest.mark.slow
def test_a_local_model_of_a_trained_one(tmp_path, capsys):
    """It validates and draws with the past of the other; with equal weights it is that.

    Without a reference, and with one that nothing reads, it does not start; nor does it write.
    """
    path = fitted(tmp_path / "vanilla", "--config", "planning")
    expected = validation(capsys)
    start = ["--init_from", path]
    still = ["--model.optimizer.lr", "0.0", "--model.optimizer.weight_decay", "0.0"]
    local = ["--config", "planning", "--config", "myopic/local"]
    fitted(tmp_path / "local", *local, "--model.reference", path, *start, *still)
    assert expected["nll"] != 0
    assert validation(capsys) == pytest.approx(expected, rel=1e-4)
    smoke = ["--config", "smoke", f"--trainer.default_root_dir={tmp_path}"]
    predict = ["predict", *local, "--model.reference", path, *smoke, "--ckpt_path", "initial"]
    ordinary = ["--model.backbone.attention", "ScaledDotProduct"]
    for words, sentence in (
        (predict, "GivenPast .* cannot continue one step by step; generate with that model"),
        (["fit", *local, *smoke], "reference"),
        (
            ["fit", *local, "--model.reference", path, *ordinary, *smoke],
            "LocalLanguageModel: reference=.* choose attention=GivenPast",
        ),
        (
            ["fit", "--config", "planning", "--model.backbone.attention", "GivenPast", *smoke],
            "GivenPast .* got none; train it with LocalLanguageModel",
        ),
    ):
        with pytest.raises(SystemExit):
            cli.main(words)
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.search(f"error: .*{sentence}", told), told
