"""Which option is meant by a name that does not exist."""

from collections.abc import Callable

import pytest
from jsonargparse import ArgumentParser

from framework.console import options
from framework.console.explanations import suggestions


class Engine:
    """Moves a thing. It has parts.

    Args:
        power: In watts.
    """

    def __init__(self, power: float = 1.0) -> None:
        pass


class Diesel(Engine):
    """Moves a thing by burning oil."""

    def __init__(self, lr: float, cylinders: int = 4, power: float = 2.0) -> None:
        pass


class Vehicle:
    def __init__(
        self,
        dim: int,
        engine: Callable[[int], Engine] = Engine,
        wheels: dict[str, Engine] | None = None,
    ) -> None:
        pass


@pytest.fixture(scope="module")
def parser():
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("-c", "--config", action="config")
    made.add_argument("--batch_size", type=int)
    made.add_subclass_arguments(Vehicle, "model")
    return made


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(
        "model:\n  class_path: Vehicle\n  init_args:\n    engine: {class_path: Diesel}\n"
    )
    return ["--config", str(path)]


CHOSEN = ("model.engine.lr", "model.engine.cylinders", "model.engine.power")


def test_lists_the_options_of_the_classes_that_are_chosen(parser, recipe):
    names = {option.name for option in options.known(parser, recipe)}
    assert names == {"config", "batch_size", "help", "print_config", "model"} | {
        "model.engine",
        "model.wheels",
        *CHOSEN,
    }


def test_a_flag_chooses_another_class_and_no_choice_leaves_the_default(parser, recipe):
    another = {o.name for o in options.known(parser, [*recipe, "--model.engine", "Engine"])}
    default = {o.name for o in options.known(parser, ["--model=Vehicle"])}
    assert another == default == ({*default} - {*CHOSEN[:2]}) | {CHOSEN[2]}


def test_lists_what_a_dictionary_holds(parser, recipe):
    words = [*recipe, "--model.wheels.left=Diesel"]
    assert "model.wheels.left.lr" in {option.name for option in options.known(parser, words)}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--lr", "--model.engine.lr"),
        ("--lr=3", "--model.engine.lr"),
        ("--learning_rate", "--model.engine.lr"),
        ("--learning-rate", "--model.engine.lr"),
        ("--lerning_rate", "--model.engine.lr"),
        ("--model.lr", "--model.engine.lr"),
        ("--cylinder", "--model.engine.cylinders"),
        ("--batch-size", "--batch_size"),
        ("--batchsize", "--batch_size"),
        ("model.engin", "model.engine or model.engine.lr"),
    ],
)
def test_points_to_full_names(word, meant, parser, recipe):
    said = suggestions.unknown_option(word, parser, [*recipe, word] if "--" in word else recipe)
    assert said == f"there is no option {word.partition('=')[0]}; did you mean {meant}?"


@pytest.mark.parametrize("word", ["quickstart", "quickstrt", "forecast/quickstart"])
def test_points_from_the_name_of_a_recipe_to_config(word, parser):
    said = suggestions.unknown_option(word, parser, ["fit", word])
    assert "did you mean --config " in said
    assert said.endswith("quickstart?")


def test_points_from_a_file_to_config(parser, tmp_path):
    path = tmp_path / "my.yaml"
    path.touch()
    said = suggestions.unknown_option(str(path), parser, ["fit", str(path)])
    assert said.endswith(f"did you mean --config {path}?")


def test_says_which_options_a_class_needs():
    said = suggestions.missing_options(["lr"], f"{__name__}.Diesel", "model.engine")
    assert said == "Diesel needs lr; give --model.engine.lr"
    said = suggestions.missing_options(["engine"], f"{__name__}.Vehicle", "model")
    assert said == "Vehicle needs engine; give --model.engine (Diesel, Engine)"


def test_first_sentence():
    assert options.first_sentence(Engine) == "Moves a thing"


@pytest.mark.parametrize(
    ("mapping", "text"),
    [("{'class_pat': 'Engine', 'init_args': {}}", "class_pat"), ("{'power': 3}", ""), ("{}", "")],
)
def test_a_mapping_without_a_class(mapping, text):
    said, found = suggestions.no_class(mapping)
    assert found == text
    assert "class_path" in said
