"""What a run has set otherwise than its recipe: by options, overlays, or not at all."""

from copy import deepcopy

import pytest
import yaml

from framework.catalogue.report.differences import differences, origin_of
from framework.console import recipes

START = ["overtone", "fit", "--config", "quickstart"]


@pytest.fixture
def config():
    """The quickstart as a run saves it: with defaults, whole paths, and the logger's name."""
    read = yaml.safe_load(recipes.find("quickstart").read_text(encoding="utf-8"))
    model = read["model"]["init_args"]
    for name in ("stem", "backbone", "head"):
        model[name]["class_path"] = f"components.{model[name]['class_path']}"
    model["losses"]["nll"] = {"class_path": "components.NegativeLogLikelihood", "init_args": {}}
    model["backbone"]["init_args"]["dropout"] = 0.0
    read["data"]["init_args"]["interval"] = [-1.0, 5.0]
    read["trainer"]["logger"] = {"class_path": "x.Logger", "init_args": {"name": "quickstart"}}
    return deepcopy(read)


def rows(command, config):
    origin = origin_of(command, config)
    header, *found = differences(origin, config)
    assert header == ["option", "quickstart", "this run"]
    return {name: (before, after) for name, before, after in found}


def test_defaults_and_whole_paths_are_no_difference(config):
    assert rows(START, config) == {}
    assert rows([], config) == {}, "the logger has the name of the recipe"


def test_options_of_the_command_line_are_listed(config):
    config["model"]["init_args"]["backbone"]["init_args"] |= {"dropout": 0.1, "dim": 128}
    config["model"]["init_args"]["head"] = {"class_path": "components.LinearHead"}
    words = ["--model.backbone.dropout=0.1", "--model.backbone.init_args.dim", "128"]
    words += ["--model.head=LinearHead", "--trainer.max_steps", "1000"]
    assert rows([*START, *words], config) == {
        "model.backbone.dropout": ("—", "0.1"),
        "model.backbone.dim": ("64", "128"),
        "model.head": ("FourierHead", "components.LinearHead"),
    }


def test_what_an_overlay_sets_is_listed(config):
    throughput = {"class_path": "framework.Throughput", "init_args": {"peak": None}}
    config["trainer"]["callbacks"] = [throughput]
    found = rows([*START, "-c", "callbacks/throughput"], config)
    assert found.keys() == {"trainer.callbacks"}
    assert found["trainer.callbacks"][0] == "—"
    assert yaml.safe_load(found["trainer.callbacks"][1]) == [throughput]


def test_a_recipe_that_is_gone_or_unknown_is_said(config):
    assert origin_of(["overtone", "fit", "--config=gone.yaml"], config).path is None
    assert origin_of(["overtone", "fit", "--model=Forecaster"], config) is None
    del config["trainer"]["logger"]
    assert origin_of([], config) is None
