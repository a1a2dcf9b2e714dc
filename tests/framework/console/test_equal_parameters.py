"""Widths that make models equally large, against the rule of FANformer and counted parameters."""

import pytest
import torch
import yaml
from omegaconf import OmegaConf
from torch import nn

import cli
from components import Decoder, FanLayer, FeedForward, SwiGLU
from framework.console import equal_parameters

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

FAN = {"class_path": "components.FanLayer"}
LINEAR = {"class_path": "torch.nn.Identity"}


@pytest.fixture(autouse=True)
def word():
    equal_parameters.register()


def fan(p):
    return {**FAN, "init_args": {"p": p, "activation": LINEAR}}


def width(hidden, feedforward="SwiGLU", network=None, **options):
    """The width that a word stands for in the configuration of a run."""
    network = {"hidden": hidden, **(network or {})}
    network = {"class_path": f"components.{feedforward}", "init_args": network}
    options = {"dim": 64, "depth": 2, "heads": 4, "feedforward": network, **options}
    backbone = {"class_path": "components.Decoder", "init_args": options}
    config = OmegaConf.create({"fit": {"model": {"init_args": {"backbone": backbone}}}})
    read = OmegaConf.to_container(config, resolve=True)
    network = read["fit"]["model"]["init_args"]["backbone"]["init_args"]["feedforward"]
    return network["init_args"]["hidden"]


@pytest.mark.slow
@pytest.mark.parametrize(("p", "published"), [(0.25, 15360 / 2), (0.0, 15016 / 2)])
def test_widths_of_the_paper(p, published):
    """`mlp_hidden` of the authors' configurations for 1B is both halves of SwiGLU."""
    found = width("${equal_parameters:8192}", dim=2048, depth=16, heads=16, projection=fan(p))
    assert found == published


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "dim", "kv_heads"),
    [(0.0, 64, None), (0.0, 192, 1), (0.125, 512, 2), (0.25, 192, 1), (0.5, 64, None)],
)
def test_rule_for_a_gated_network(p, kv_heads, dim):
    """A projection has (1 - p) d² entries, a unit of width 3 d: 4d - (1 - p) d / 3."""
    word = f"${{equal_parameters:{4 * dim}}}"
    found = width(word, dim=dim, kv_heads=kv_heads, projection=fan(p))
    assert found % 4 == 0
    assert abs(found - (4 * dim - (1 - p) * dim / 3)) <= 2


@pytest.mark.parametrize("p", [0.0, 0.25])
def test_rule_for_two_matrices(p):
    found = width("${equal_parameters:256}", "FeedForward", projection=fan(p))
    assert found == 256 - (1 - p) * 64 / 2


@pytest.mark.slow
@pytest.mark.parametrize(("p", "ratio"), [(0.0, 1.5), (0.25, 2.0), (0.5, 3.0)])
def test_rule_for_two_fan_layers(p, ratio):
    """Both have (1 - p) d h entries, a gated network of width n has 3 d n."""
    assert width("${equal_parameters:256}", "FanFeedForward", {"p": p}) == 256 * ratio
    assert width("${equal_parameters:256}", "FanFeedForward", {"p": p}, projection=fan(0.5)) == (
        4 * round((256 * ratio - 0.5 * 64 / 2 / (1 - p)) / 4)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_values_of_their_own_replace_a_matrix(kv_heads):
    """They have (1 - p) d g entries, g the width of all values, in place of d g."""
    found = width(
        "${equal_parameters:512}", dim=96, kv_heads=kv_heads, projection=fan(0.25), value=fan(0.25)
    )
    assert abs(found - (512 - (0.75 * 96 - 0.25 * 96 * kv_heads / 4) / 3)) <= 2


@pytest.mark.parametrize(
    "feedforward", ["SwiGLU", pytest.param("FeedForward", marks=pytest.mark.slow)]
)
def test_nothing_is_taken_from_a_plain_transformer(feedforward):
    assert width("${equal_parameters:177}", feedforward) == 177


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "matrices", "p"),
    [(SwiGLU, 3, 0.0), (SwiGLU, 3, 0.125), (FeedForward, 2, 0.25), (FeedForward, 2, 0.5)],
)
def test_models_are_equally_large(kind, matrices, p):
    """But for the biases of the projection, and half of the step between widths."""

    def size(hidden, projection=None):
        with torch.device("meta"):
            model = Decoder(
                64, 2, 4, projection=projection, feedforward=lambda **o: kind(hidden=hidden, **o)
            )
        return sum(parameter.numel() for parameter in model.parameters())

    found = width("${equal_parameters:176}", kind.__name__, projection=fan(p))
    large = size(found, lambda dim: FanLayer(dim, p=p, activation=nn.Identity))
    biases = 2 * (1 - p) * 64
    assert abs(large - biases - size(176)) <= 2 * 2 * matrices * 64


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("${equal_parameters:20}", "20 leaves nothing for the feed-forward network: .* 21 of its"),
        ("${equal_parameters:wide}", r"wide names no width; .* \$\{equal_parameters:8192\}"),
        ("${equal_parameters:0}", "0 names no width"),
        ("${equal_parameters:8,9}", "8,9 names no width"),
    ],
)
def test_no_such_width(word, told):
    with pytest.raises(ValueError, match=f"equal_parameters:{told}"):
        width(word, projection=fan(0.0))


def test_elsewhere_it_means_nothing():
    with pytest.raises(ValueError, match=r"equal_parameters:64 computes the width of a feed-forw"):
        width(64, dim="${equal_parameters:64}")
    with pytest.raises(ValueError, match=r"use it for backbone.init_args.feedforward"):
        OmegaConf.to_container(OmegaConf.create({"a": "${equal_parameters:64}"}), resolve=True)


def test_other_options_may_refer_to_each_other():
    found = width(
        "${equal_parameters:256}", dim="${.heads}", heads=64, head_dim=2, projection=fan(0.25)
    )
    assert found == 256 - 16


MODEL = [
    *("--config", "sotu", "--config", "smoke"),
    *("--model.backbone.dim", "32", "--model.backbone.projection", "FanLayer"),
    *("--model.backbone.feedforward", "SwiGLU"),
]
WORD = ["--model.backbone.feedforward.hidden", "${equal_parameters:128}"]


def test_the_command_line_shows_the_number(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", *MODEL, *WORD, "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    backbone = printed["model"]["init_args"]["backbone"]["init_args"]
    assert backbone["feedforward"]["init_args"]["hidden"] == 128 - 8


@pytest.mark.slow
def test_a_run_and_its_checkpoint_hold_the_number(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("One line of a text.\n" * 100)
    source = ["--data.source", "TextFiles", "--data.source.train", str(tmp_path / "text.txt")]
    small = ["--data.tokenizer", "ByteTokenizer", "--data.length", "16"]
    kept = [f"--trainer.default_root_dir={tmp_path}", "--trainer.enable_checkpointing", "true"]
    cli.main(["fit", *MODEL, *WORD, *source, *small, *kept])
    saved = yaml.safe_load(next(tmp_path.rglob("config.yaml")).read_text())
    options = saved["model"]["init_args"]["backbone"]["init_args"]["feedforward"]["init_args"]
    assert options["hidden"] == 120
    state = torch.load(next(tmp_path.rglob("last.ckpt")), weights_only=True)
    options = state["hyper_parameters"]["backbone"]["init_args"]["feedforward"]["init_args"]
    assert options["hidden"] == 120
    assert state["state_dict"]["backbone.blocks.0.feedforward.down.weight"].shape == (32, 120)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (
            "${equal_parameter:128}",
            "no resolver 'equal_parameter'; did you mean equal_para",
        ),
        ("${zzz:128}", "hidden: there is no resolver 'zzz'; write the value itself."),
        ("${equal_parameters:8}", "error: equal_parameters:8 leaves nothing for the feed-forward"),
        ("${equal_parameters:8", "hidden: missing BRACE_CLOSE"),
        ("${oc.env:NOT_A_VARIABLE}", "Environment variable 'NOT_A_VARIABLE' not found"),
    ],
)
@pytest.mark.slow
def test_a_mistake_is_one_sentence(word, told, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", *MODEL, "--model.backbone.feedforward.hidden", word])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) == 1


def test_another_mistake_in_the_backbone_is_told_as_such(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", *MODEL, *WORD, "--model.backbone.haeds", "3"])
    assert "Decoder has no option 'haeds'; did you mean heads" in capsys.readouterr().err
