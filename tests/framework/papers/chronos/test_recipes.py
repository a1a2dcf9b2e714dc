"""Chronos from its recipes: published sizes, a step of T5-mini, a checkpoint with its cells."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import nn

import cli
import components
from components.binnings import MixedBins
from components.data import SeriesBatch, SeriesSpec
from components.interfaces import Backbone
from components.supports import Interval
from framework.modules import Forecaster
from framework.modules.construction import describe

pytestmark = pytest.mark.usefixtures("unsaved_pictures", "own_cache")

RECIPES = Path(cli.__file__).parent / "recipes"
CELLS = 4096  # vectors of the table that the published numbers count
CORPUS = {
    "few": {"source": {"class_path": "KernelSynth", "init_args": {"number": 20, "length": 64}}}
}
BENCHMARK = {
    "m1": {"class_path": "Competition", "init_args": {"name": "M1", "frequency": "yearly"}}
}
SHORT = [
    *("--data.corpora", json.dumps(CORPUS), "--data.benchmarks", json.dumps(BENCHMARK)),
    *("--data.context", "32", "--data.horizon", "6", "--data.shortest_past", "20"),
    *("--data.limit", "2", "--data.validation", "2", "--data.num_workers", "0"),
    *("--data.batch_size", "2", "--trainer.max_steps", "1", "--trainer.val_check_interval", "1"),
    *("--model.paths.samples", "3", "--trainer.accelerator", "cpu", "--trainer.devices", "1"),
]


def backbone(*files, device="meta"):
    """Builds the backbone that recipes, one over the other, ask for; on "meta" without storage."""
    parser = ArgumentParser(parser_mode="omegaconf+", exit_on_error=False)
    parser.add_subclass_arguments(Backbone, "backbone")
    config = parser.get_defaults()
    for file in files:
        text = (RECIPES / file).read_text()
        wanted = {"backbone": yaml.safe_load(text)["model"]["init_args"]["backbone"]}
        config = parser.parse_object(wanted, cfg_base=config, defaults=False)
    with torch.device(device):
        return parser.instantiate(config).backbone


def millions(model):
    parameters = sum(each.numel() for each in model.parameters())
    return (parameters + CELLS * model.dim) / 1e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "published"),
    [("tiny", 8), ("mini", 20), ("small", 46), ("base", 200), ("large", 710)],
)
def test_sizes_are_those_of_the_paper(size, published):
    model = backbone("forecast/chronos/chronos.yaml", f"overlays/chronos/{size}.yaml")
    assert millions(model) == pytest.approx(published, rel=0.05)  # they are rounded
    assert model.blocks[0].attention.operator.scale == 1


@pytest.mark.slow
def test_the_recipe_is_of_size_mini_and_one_overlay_makes_it_decoder_only():
    assert millions(backbone("forecast/chronos/chronos.yaml")) == pytest.approx(20.46, abs=0.005)
    files = (
        "forecast/chronos/chronos.yaml",
        "overlays/chronos/base.yaml",
        "overlays/chronos/decoder_only.yaml",
    )
    model = backbone(*files)
    blocks = 12 * (12 * 768**2 + 4 * 768) + 2 * 768
    assert type(model) is components.Decoder
    assert sum(each.numel() for each in model.parameters()) == blocks
    assert millions(model) == pytest.approx(90, abs=2)  # theirs has positions and biases too
    assert model.blocks[0].attention.operator.scale is None


@pytest.mark.parametrize("overlay", [(), ("overlays/chronos/decoder_only.yaml",)])
@pytest.mark.slow
def test_tiny_models_learn_from_a_step(overlay):
    torch.manual_seed(0)
    reader = backbone(
        "forecast/chronos/chronos.yaml", "overlays/chronos/tiny.yaml", *overlay, device="cpu"
    )
    spec = SeriesSpec(Interval(-15.0, 15.0), context=12, horizon=5, season=1)
    stem = components.BinnedSeriesStem(reader.dim, spec, MixedBins(4094))
    head = components.FourierHead(reader.dim, spec.support, 550, MixedBins(4094))
    one, past = torch.ones(2, 1), torch.randn(2, 12)
    batch = SeriesBatch(past, past == past, 0 * one, one, one, past[:, :5], torch.ones(2, 5))
    model = nn.ModuleList([stem, reader.eval(), head])
    before = -head(reader(stem(batch))).log_prob(batch.target).mean()
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 1e-2 * parameter.grad
        assert -head(reader(stem(batch))).log_prob(batch.target).mean() < before


@pytest.mark.slow
def test_mini_takes_a_step(capsys):
    words = ["fit", "--config", "chronos", "--config", "chronos/penalty", *SHORT]
    words += ["--trainer.limit_val_batches", "0", "--trainer.logger", "false"]
    cli.main([*words, "--trainer.enable_checkpointing=false", "--trainer.log_every_n_steps=1"])
    out = capsys.readouterr().out
    assert "coefficients" in out
    assert "Metrics after 1 steps" in out


@pytest.mark.slow
def test_a_checkpoint_holds_the_cells_and_forecasts_with_them(tmp_path, capsys):
    """A swapped head has no options of the one before; flags give it a binning of its own."""
    place = f"--trainer.default_root_dir={tmp_path}"
    words = [
        "--model.head",
        "LinearHead",
        "--model.head.bins",
        "MixedBins",
        "--model.head.bins.size",
        "64",
        "--model.stem.bins",
        "50",
    ]
    cli.main(["fit", "--config", "chronos_small", *SHORT, *words, place])
    (path,) = tmp_path.rglob("last.ckpt")
    model = Forecaster.load_from_checkpoint(path, weights_only=True)
    assert model.head.cells == Interval(-15.0, 15.0).divide(MixedBins(64))
    assert model.stem.cells == Interval(-15.0, 15.0).divide(50)
    capsys.readouterr()
    cli.main(["test", "--ckpt_path", str(path), place])
    assert "mase_relative" in capsys.readouterr().out


def test_a_binning_chosen_in_python_is_described_as_the_command_line_does():
    described = describe(partial(components.LinearHead, bins=MixedBins(64)))
    options = {"size": 64, "low": -1.0, "high": 10.0, "share": 0.2}
    binning = {"class_path": "components.MixedBins", "init_args": options}
    assert described["init_args"] == {"bins": binning}
