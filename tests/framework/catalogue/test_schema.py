"""JSON schemas of recipes and studies admit what is shipped, and find what commands refuse."""

import json
from copy import deepcopy

import pytest
import yaml
from jsonschema import Draft202012Validator

import cli
from framework.catalogue.schema import _Writer
from framework.console import recipes


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "recipe.schema.json"
    cli.main(["schema", "--output", str(path)])
    return json.loads(path.read_text())


def test_a_file_that_exists_is_not_overwritten(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("model:")
    with pytest.raises(SystemExit):
        cli.main(["schema", "--output", str(path)])
    assert "mine.yaml exists already; choose another name" in capsys.readouterr().err
    assert path.read_text() == "model:"


@pytest.fixture(scope="module")
def validator(schema):
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def quickstart():
    return yaml.safe_load(recipes.find("quickstart").read_text())


def changed(recipe, path, value):
    made = deepcopy(recipe)
    *above, last = path
    part = made
    for key in above:
        part = part[key]
    part[last] = value
    return made


@pytest.mark.slow
def test_every_shipped_recipe_is_admitted(validator):
    for path in recipes.recipes():
        errors = list(validator.iter_errors(yaml.safe_load(path.read_text())))
        assert not errors, f"{path}: {errors[0].message}"


MODEL, HEAD = ("model", "init_args"), ("model", "init_args", "head")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value", "admitted"),
    [
        (("trainer", "max_stepz"), 3, False),
        (("trainer", "max_steps"), "many", False),
        (("trainer", "max_steps"), "${.val_check_interval}", True),
        (("trainer", "callbacks+"), [{"class_path": "SpikeGuard"}], True),
        (("data", "class_path"), "SeriesDate", False),
        (("data", "class_path"), "mine.SeriesData", True),
        ((*MODEL, "spec"), {}, False),
        (HEAD, "LinearHaed", False),
        (HEAD, "mine.LaplaceHead", True),
        (HEAD, "heads/mine.yaml", True),
        ((*HEAD, "init_args", "frequency"), 3, False),
        ((*HEAD, "init_args", "frequencies"), 1.5, False),
        ((*HEAD, "init_args", "ends"), "odd", False),
        ((*HEAD, "init_args", "ends"), "even", True),
        ((*HEAD, "init_args", "dim"), 64, False),
        ((*MODEL, "backbone", "init_args", "dim"), 64, True),
        (
            (*MODEL, "losses", "rough"),
            {"class_path": "Roughness", "init_args": {"wait": 1}},
            False,
        ),
    ],
)
def test_mistakes_are_found(validator, quickstart, path, value, admitted):
    assert validator.is_valid(changed(quickstart, path, value)) == admitted


@pytest.fixture(scope="module")
def of_studies(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "study.schema.json"
    cli.main(["schema", "--studies", "--output", str(path)])
    found = json.loads(path.read_text())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.mark.slow
def test_every_shipped_study_is_admitted(of_studies):
    assert recipes.studies()
    for path in recipes.studies():
        errors = list(of_studies.iter_errors(yaml.safe_load(path.read_text())))
        assert not errors, f"{path}: {errors[0].message}"


STUDY, GAUSSIAN = ("study", "init_args"), ("study", "init_args", "problems", "gaussian")


@pytest.mark.parametrize(
    ("name", "path", "value", "admitted"),
    [
        ("hopper", (*STUDY, "seedz"), [1], False),
        ("hopper", (*STUDY, "seeds"), ["one"], False),
        ("hopper", (*STUDY, "same_data"), {"files": ["a.csv"], "examples": False}, True),
        ("hopper", (*STUDY, "same_data"), {"filez": ["a.csv"]}, False),
        ("hopper", ("study", "class_path"), "Varints", False),
        ("hopper", ("jobs",), 2, True),
        ("hopper", ("job",), 2, False),
        ("toy", (*GAUSSIAN, "components"), 3, True),
        ("toy", (*GAUSSIAN, "componentz"), 3, False),
        ("toy", (*GAUSSIAN, "problem", "init_args", "process"), "Gauss", False),
    ],
)
def test_mistakes_in_studies_are_found(of_studies, name, path, value, admitted):
    study = yaml.safe_load(recipes.find(name, recipes.studies()).read_text())
    assert of_studies.is_valid(changed(study, path, value)) == admitted


@pytest.mark.slow
def test_editors_are_told_what_classes_and_options_are(schema):
    head = schema["$defs"]["components.heads.fourier.FourierHead"]
    assert head["description"].startswith("Predicts a density that is smooth by construction")
    assert head["properties"]["frequencies"]["description"] == "N, at least 1."
    assert "dim" not in head["properties"]
    name, *_ = schema["$defs"]["components.interfaces.HeadFactory.any"]["anyOf"]
    choices = {one["const"]: one.get("description", "") for one in name["anyOf"][0]["anyOf"]}
    assert choices["NormalHead"].startswith("Predicts a normal distribution")


@pytest.mark.parametrize(
    ("hint", "admitted", "refused"),
    [
        (int, [1, "${a.b}"], [1.5, "one", None]),
        (bool, [True], [1, "yes"]),
        (str | None, ["a", None], [1]),
        (list[int], [[1, 2]], [["a"], 1]),
        (dict[str, float], [{"a": 1}], [{"a": "b"}]),
    ],
)
def test_types_are_those_of_python(hint, admitted, refused):
    validator = Draft202012Validator(_Writer().of(hint))
    assert all(map(validator.is_valid, admitted))
    assert not any(map(validator.is_valid, refused))
