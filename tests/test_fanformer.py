"""FANformers as recipes build them, against the parameters that the paper and its code count."""

import json
import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
import torch
import yaml

import cli
from components.data import TokenSpec
from components.supports import Tokens
from framework.callbacks.parameters import count_parameters
from framework.modules.construction import build_module
from framework.optimization import groups

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

RECIPES = Path(cli.__file__).parent / "recipes"
SPEC = TokenSpec(Tokens(50_304), 2048, 4.0)  # 50,280 tokens, filled up to a multiple of 128
BYTES = TokenSpec(Tokens(257), 64, 1.0)
PROJECTIONS = ("plain", "atl", "atm", "fanformer", "gelu", "own_values")
OVERLAYS = (*PROJECTIONS, "feedforward")


@cache
def printed(*names):
    """What the command line prints as options of the model for recipes and overlays, in YAML."""
    words = [word for name in names for word in ("--config", f"fanformer/{name}")]
    if "feedforward" in names:
        words += ["--model.backbone.feedforward.hidden", "${equal_parameters:176}"]
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as out:
        cli.main(["fit", *words, "--print_config"])
    return yaml.safe_dump(yaml.safe_load(out.getvalue())["model"]["init_args"])


@cache
def built(*names, hidden=None, p=None, spec=SPEC):
    """Builds the model of a recipe and its overlays without storage, of another width or share.

    Tests share it, and change nothing.
    """
    options = yaml.safe_load(printed(*names))
    backbone = options["backbone"]["init_args"]
    if hidden is not None:
        backbone["feedforward"]["init_args"]["hidden"] = hidden
    if p is not None:
        backbone["projection"]["init_args"]["p"] = p
    kind = "framework.modules.LanguageModel"
    model = build_module("a recipe", {"_class_path": kind, "spec": spec, **options})
    with torch.device("meta"):
        model.configure_model()
    return model


def size(model, *left_out):
    """Counts parameters, each once, but for those whose name begins with a word left out."""
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if not name.startswith(left_out or ("none",)))


SAME = {"hidden": 8192}


@pytest.mark.parametrize(
    ("overlays", "options", "total", "without_embedding"),
    [
        (["plain"], {}, 1_176_832_000, 1_073_809_408),
        ([], SAME, 1_227_188_224, 1_124_165_632),
        ([], {**SAME, "p": 0.125}, 1_235_580_928, 1_132_558_336),
        ([], {}, 1_176_856_576, 1_073_833_984),
        (["atl"], SAME, 1_243_973_632, 1_140_951_040),
        (["atl"], {}, 1_176_733_696, 1_073_711_104),
        (["own_values"], SAME, 1_210_435_584, 1_107_412_992),
    ],
)
@pytest.mark.slow
def test_parameters_of_the_authors_models(overlays, options, total, without_embedding):
    """Counted on the classes of the authors' code at its configurations for 1B."""
    model = built("1b", *overlays, **options)
    assert size(model) == total
    assert size(model, "stem") == without_embedding
    assert count_parameters(model)[-1] == ["total", "", f"{total:,}", f"{total:,}"]


PAPER = {  # dim, depth, whether the read-out is tied, and millions without embedding
    "300m": (1024, 16, True, 268.5),
    "600m": (1536, 16, True, 604.0),
    "1b": (2048, 16, True, 1073.8),
    "3b": (2560, 24, False, 2645.5),
    "7b": (4096, 24, False, 6648.7),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", PAPER)
def test_sizes_of_the_paper(recipe):
    """Table 10: attention has 4 d² entries in a layer and SwiGLU of width 4 d has 12 d²."""
    dim, depth, tied, millions = PAPER[recipe]
    plain, fan, same = built(recipe, "plain"), built(recipe), built(recipe, hidden=4 * dim)
    assert round(size(plain, "stem") / 1e6, 1) == millions
    assert size(plain, "stem", "head") == depth * (16 * dim**2 + 2 * dim) + dim
    assert size(plain, "backbone") == 50_304 * dim * (2 - tied)
    assert size(same) - size(plain) == depth * 3 * (dim**2 + dim) // 4
    assert 0 <= size(fan) - size(plain) <= depth * 3 * dim // 4
    assert fan.backbone.blocks[0].feedforward.down.weight.shape == (dim, 15 * dim // 4)
    header = (RECIPES / "language" / "fanformer" / f"{recipe}.yaml").read_text()
    assert f"{size(fan):,}" == re.search(r"([\d,]+) parameters, counted", header)[1]
    trainer = yaml.safe_load(header)["trainer"]
    options = trainer["strategy"]["init_args"] if "strategy" in trainer else {}
    assert options.get("save_distributed_checkpoint", False) == (size(fan) >= 1e9)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_line_of_a_recipe_keeps_the_size(overlay):
    """But for biases, and half of the step of 4 between widths."""
    plain, model = built("tiny", "plain", spec=BYTES), built("tiny", overlay, spec=BYTES)
    biases = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias"))
    assert abs(size(model) - biases - size(plain)) <= 2 * 2 * 3 * 64


@pytest.mark.slow
def test_two_fan_layers_replace_the_feed_forward_network_and_nothing_else():
    plain, model = (yaml.safe_load(printed("tiny", name)) for name in ("plain", "feedforward"))
    network = model["backbone"]["init_args"].pop("feedforward")
    assert plain["backbone"]["init_args"].pop("feedforward")["init_args"]["hidden"] == 176
    assert network["class_path"] == "components.FanFeedForward"
    assert network["init_args"]["hidden"] == 352  # 2 (1 - p) d h = 3 d 176
    assert model == plain


@pytest.mark.slow
def test_two_fan_layers_as_feed_forward_network_train(tmp_path, capsys):
    words = ["--config", "fanformer/tiny", "--config", "fanformer/feedforward"]
    words += ["--model.backbone.feedforward.hidden", "${equal_parameters:176}"]
    words += ["--trainer.max_steps", "30", "--trainer.val_check_interval", "30"]
    cli.main(["fit", *words, "--trainer.default_root_dir", str(tmp_path)])
    [path] = tmp_path.rglob("metrics.json")
    assert json.loads(path.read_text())["val/nll"] < 3.8  # log 257 is 5.55: it learns


@cache
def recipe_of(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("overlay", PROJECTIONS)
def test_an_overlay_changes_the_projection_and_the_values_only(overlay):
    changed = recipe_of(RECIPES / "overlays" / "fanformer" / f"{overlay}.yaml")
    assert list(changed) == ["model"]
    backbone = changed["model"]["init_args"]["backbone"]["init_args"]
    assert set(backbone) == {"projection", "value"}


@pytest.mark.slow
def test_the_overlay_of_what_is_published_is_the_recipe_itself():
    assert printed("tiny") == printed("tiny", "fanformer")


@pytest.mark.parametrize("recipe", ["1b", "7b"])
@pytest.mark.slow
def test_matrices_decay_but_no_biases_norms_and_embeddings(recipe):
    model = built(recipe)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, rest = (
        {names[id(p)] for p in group["params"]} for group in groups(model, model._matrices)
    )
    assert decayed | rest == set(names.values())
    untied = [] if model.tied else [r"head\.projection\.weight"]
    blocks = r"backbone\.blocks\.\d+\."
    of_attention = rf"{blocks}attention\.(projection|query|key_value|out)\.weight"
    of_the_rest = rf"{blocks}feedforward\.(up_gate|down)\.weight"
    pattern = "|".join([of_attention, of_the_rest, *untied])
    assert all(re.fullmatch(pattern, name) for name in decayed), decayed
    assert not any(re.fullmatch(pattern, name) for name in rest), rest
    assert "stem.embedding.weight" in rest
    assert "backbone.blocks.0.attention.projection.bias" in rest


@pytest.mark.slow
@pytest.mark.parametrize("recipe", PAPER)
def test_a_step_of_the_large_recipes_sees_as_much_as_in_the_paper(recipe):
    """Appendix M and the authors' configurations: 2,048 windows of as many tokens, or 1,024."""
    read = recipe_of(RECIPES / "language" / "fanformer" / f"{recipe}.yaml")
    data, trainer = read["data"]["init_args"], read["trainer"]
    micro = data["batch_size"]
    assert micro * trainer["accumulate_grad_batches"] == data["length"] == 2048
    tokens = trainer["max_steps"] * 2048 * data["length"]
    assert round(tokens / 1e12, 2) == 1.05
    ablation = recipe_of(RECIPES / "overlays" / "fanformer" / "ablation.yaml")["trainer"]
    assert micro * ablation["accumulate_grad_batches"] == 1024
    assert round(ablation["max_steps"] * 1024 * data["length"] / 1e9, 1) == 10.0
