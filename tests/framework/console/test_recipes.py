"""Recipes are found by file, by name, by the end of their path; what cannot be found says so."""

import pytest

from framework.console import recipes as recipes_module
from framework.console.errors import UserError


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder of four recipes, and an empty directory to work in."""
    root = tmp_path / "recipes"
    for name in ("forecast/quickstart", "forecast/long", "language/long", "overlays/heads/fan"):
        path = root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Runs {name}. And more.\n#\n# command x\nmodel: {{}}\n")
    monkeypatch.setattr(recipes_module, "FOLDER", root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return root


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("quickstart", "forecast/quickstart"),
        ("quickstart.yaml", "forecast/quickstart"),
        ("forecast/quickstart", "forecast/quickstart"),
        ("language/long", "language/long"),
        ("heads/fan", "overlays/heads/fan"),
        ("overlays/heads/fan", "overlays/heads/fan"),
    ],
)
def test_a_name_is_the_end_of_a_path(name, path, recipes):
    assert recipes_module.find(name) == recipes / f"{path}.yaml"


def test_a_whole_path_wins_over_the_end_of_another(recipes):
    (recipes / "quickstart.yaml").write_text("model: {}\n")
    assert recipes_module.find("quickstart") == recipes / "quickstart.yaml"


def test_an_existing_file_wins(recipes, tmp_path):
    file = tmp_path / "elsewhere" / "quickstart"
    file.write_text("model: {}\n")
    assert recipes_module.find("quickstart").resolve() == file


def test_a_folder_is_no_file(recipes, tmp_path):
    (tmp_path / "elsewhere" / "quickstart").mkdir()
    assert recipes_module.find("quickstart") == recipes / "forecast" / "quickstart.yaml"


def test_an_ambiguous_name_lists_what_it_could_mean(recipes):
    with pytest.raises(UserError, match="name one of forecast/long, language/long"):
        recipes_module.find("long")


@pytest.mark.parametrize(
    ("name", "hint"), [("quikstart", "quickstart"), ("head/fan", "heads/fan")]
)
def test_a_misspelt_name_gets_a_suggestion(name, hint, recipes):
    with pytest.raises(UserError, match=f"'{name}'; did you mean .*{hint}"):
        recipes_module.find(name)


def test_half_a_word_is_no_name(recipes):
    with pytest.raises(UserError, match="no shipped recipe 'start'"):
        recipes_module.find("start")


def test_places_every_spelling_of_the_option(recipes):
    words = [
        "fit",
        "--config",
        "quickstart",
        "-c",
        "heads/fan",
        "--config=language/long",
        "--x",
        "long",
    ]
    placed = [
        str(recipes / f"{p}.yaml")
        for p in ("forecast/quickstart", "overlays/heads/fan", "language/long")
    ]
    assert recipes_module.with_paths(words) == [
        "fit", "--config", placed[0], "-c", placed[1], f"--config={placed[2]}", "--x", "long",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["fit", "--config", "a/first.yaml", "--config", "second"], "first"),
        (["fit", "--seed_everything=2", "-c", "first"], "first"),
        (["fit", "--config=x/first.yaml"], "first"),
        (["fit", "--config"], "run"),
        (["--help"], "run"),
        ([], "run"),
    ],
)
def test_a_run_is_named_after_its_first_recipe(words, name):
    assert recipes_module.run_name(words) == name


def test_lists_names_that_find_with_their_first_sentence(recipes):
    assert list(recipes_module.listing()) == [
        "forecast/long  Runs forecast/long.",
        "quickstart     Runs forecast/quickstart.",
        "language/long  Runs language/long.",
        "heads/fan      Runs overlays/heads/fan.",
    ]


def test_every_shipped_name_finds_its_recipe():
    for line in recipes_module.listing():
        first, second, *_ = line.split()
        found = (
            recipes_module.find(second, recipes_module.studies())
            if first == "study"
            else recipes_module.find(first)
        )
        assert found.is_file()
