"""What the help of a verb begins with, and the choices that `--X.help` lists."""

import re

import pytest

import cli
from framework.console import help
from framework.console.errors import UserError
from framework.console.verbs import sentences
from tests.framework.console.explanations.test_suggestions import parser

__all__ = ["parser"]
FIRST = [
    "--config",
    "--data",
    "--model",
    "--model.head",
    "--model.backbone",
    "--model.optimizer",
    "--model.schedule",
    "--trainer.max_steps",
    "--trainer.devices",
    "--trainer.precision",
    "--ckpt_path",
]


def printed(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    assert not end.value.code
    return capsys.readouterr().out


def test_help_begins_with_what_is_used_most(capsys):
    text = printed(capsys, "fit", "--help")
    usage, _, rest = text.partition("Most used:")
    assert "usage: lightning fit --config RECIPE [OPTIONS]" in usage
    first, _, others = rest.partition("\noptions:")
    names = re.findall(r"^  (?:-c CONFIG, )?(--\S+)", first, flags=re.MULTILINE)
    assert names == FIRST
    assert "--trainer.gradient_clip_val" in others
    assert "--trainer.max_steps" not in others


@pytest.mark.parametrize(
    ("verb", "own"),
    [
        ("plan", ["--throughput", "--mfu", "--peak", "--output"]),
        ("bench", ["--warmup", "--steps", "--peak", "--output"]),
    ],
)
def test_help_of_what_does_something_else_begins_with_its_own(verb, own, capsys):
    text = printed(capsys, verb, "--help")
    usage, _, rest = text.partition("Most used:")
    assert f" {verb} --config RECIPE [OPTIONS]" in usage
    assert sentences()[verb].partition(",")[0] in usage
    names = re.findall(r"^  (?:-c CONFIG, )?(--\S+)", rest.partition("\noptions:")[0], flags=re.M)
    assert names == own + FIRST


def test_lists_choices_without_a_recipe(capsys):
    text = printed(capsys, "fit", "--model.head.help")
    assert "  FourierHead      Predicts a density that is smooth by construction" in text
    assert "DensityModel" not in text


PAGES = {
    "choices": (
        ["--model.engine.help"],
        "Choices of --model.engine:\n\n"
        "  Diesel  Moves a thing by burning oil\n"
        "  Engine  Moves a thing\n\n"
        "The options of one are listed by --config RECIPE --model.engine.help Diesel.",
    ),
    "options of a class of an unknown owner": (
        ["--model.engine.help", "Engine"],
        "Options of Engine:\n\n  --model.engine.power  In watts",
    ),
    "choices before another option": (["--model.engine.help", "--batch_size=3"], "Choices of"),
    "one class": (["--model.help"], "Options of Vehicle:\n\n  --model.engine\n  --model.wheels"),
    "answered by the parser": (["--model", "Vehicle", "--model.engine.help", "Engine"], ""),
    "no such option": (["--wheel.help"], ""),
    "an option without classes": (["--batch_size.help"], ""),
    "no help": (["--batch_size", "3"], ""),
}


@pytest.mark.parametrize(("words", "page"), PAGES.values(), ids=PAGES)
def test_pages(words, page, parser):
    found = help.listing(parser, words)
    assert found.startswith(page)
    assert bool(found) == bool(page)


def test_a_class_that_does_not_exist(parser):
    with pytest.raises(UserError, match=r"engine.help: there is no class 'Disel'.* mean Diesel"):
        help.listing(parser, ["--model.engine.help", "Disel"])
