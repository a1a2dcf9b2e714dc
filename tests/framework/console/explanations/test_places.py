"""The line of a recipe at which an error points."""

import pytest

from framework.console.explanations import places

RECIPE = """\
model: &model
  class_path: DensityModel
  init_args:
    head:
      class_path: FourierHead
      init_args:
        frequencies: many
    losses:
      nll:
        class_path: NegativeLogLikelihood
        init_args: {heft: 3}
    optimizer.lr: 0.1
data:
  batch_size: null
  seed: ${nope}
  source: source.yaml
trainer:
  callbacks:
    - LearningRateMonitor
    - class_path: EarlyStopping
      init_args:
        monitr: x
  limit_val_batches: [1,
    2]
<<: {again: &again {inside: *model}}
"""


@pytest.fixture(autouse=True)
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(RECIPE)
    (tmp_path / "source.yaml").write_text("class_path: TextFiles\ninit_args:\n  tram: a.txt\n")
    (tmp_path / "loop.yaml").write_text("model: &a {head: *a, 3: [*a]}\n")


@pytest.mark.parametrize(
    ("keys", "text", "line"),
    [
        (("model", "head", "frequencies"), "many", 7),
        (("model.head",), "frequencies", 7),
        (("model", "head"), "FourierHead", 5),
        (("model", "losses"), "heft", 11),
        (("model",), "DensityModel", 2),
        (("model", "head"), "", 4),
        (("data", "batch_size"), "None", 14),
        (("data", "seed"), "${", 15),
        (("trainer", "callbacks"), "monitr", 22),
        (("trainer", "callbacks", "monitr"), "x", 22),
        (("trainer", "limit_val_batches"), "[1, 2]", 23),
        (("model", "optimizer"), "lr", None),
        (("model", "head", "frequencies"), "12", None),
        (("nothing",), "", None),
        ((), "trainer", 17),
        ((), "monitr", None),
    ],
)
def test_finds_the_line(keys, text, line):
    found = places.find(["fit", "--config", "my.yaml"], keys, text)
    assert found == (None if line is None else places.Place("my.yaml", line))


def test_follows_a_recipe_that_names_another():
    found = places.find(["fit", "--config=my.yaml"], ("data", "source"), "tram")
    assert str(found) == "source.yaml, line 3"


def test_the_last_recipe_that_holds_it_is_at_fault(tmp_path):
    (tmp_path / "over.yaml").write_text("model:\n  head:\n    frequencies: many\n")
    words = ["fit", "--config", "my.yaml", "--config", "over.yaml"]
    keys = ("model", "head", "frequencies")
    assert str(places.find(words, keys, "many")) == "over.yaml, line 3"
    assert str(places.find(words, ("model", "losses"), "heft")) == "my.yaml, line 11"


@pytest.mark.parametrize(
    ("flags", "in_recipe"),
    [
        (["--model.head.frequencies", "many"], False),
        (["--model.head.init_args.frequencies=many"], False),
        (["--model.head", '{"init_args": {"frequencies": "many"}}'], False),
        (["--model.head.frequencies", "3"], True),  # the recipe is refused before the flag is read
        (["--model.head.bins", "many"], True),
        (["--trainer.max_steps", "many"], True),
    ],
)
def test_names_no_recipe_for_a_flag(flags, in_recipe):
    words = ["fit", "--config", "my.yaml", *flags]
    found = places.find(words, ("model", "head", "frequencies"), "many")
    assert (found is not None) == in_recipe


def test_an_alias_inside_itself_ends():
    assert places.find(["fit", "-c", "loop.yaml"], ("model", "lr"), "x") is None
    assert places.find(["fit", "-c", "loop.yaml"], ("model",), "x") is None
