"""Every shipped study says what it runs in words that the command line takes."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

import cli
from framework.console import recipes
from framework.studies import Variants
from framework.studies.comparisons import FEWEST_RATES, FEWEST_SEEDS
from framework.studies.grid import RATE
from framework.studies.runs import NEED

STUDIES = {path.stem: yaml.safe_load(path.read_text())["study"] for path in recipes.studies()}
ARCHITECTURES = [
    name
    for name in STUDIES
    if name.startswith(("fanformer", "myopia", "leave_square_out")) and "scratch" not in name
]
for face in cli._slices():
    import_module(face)
KINDS = {kind.__name__: kind for kind in (Variants, *Variants.__subclasses__())}
VARIED = [name for name, study in STUDIES.items() if "variants" in study["init_args"]]


@pytest.fixture
def checkpoint(tmp_path):
    """Stands for that of another variant."""
    (tmp_path / "last.ckpt").touch()
    return tmp_path / "last.ckpt"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "pendulum_soft" else pytest.mark.slow)
        for name in VARIED
    ],
)
def test_variants_are_legal_commands(name, checkpoint, capsys):
    """Reads all of them as one command, each from the recipe on: every word is checked in turn."""
    options = STUDIES[name]["init_args"]
    rates = [word for rate in options.get("learning_rates", []) for word in (RATE, repr(rate))]
    variants = options["variants"].values()
    words = [word for variant in variants for word in (*options["recipe"], *variant, *rates)]
    words = [str(checkpoint) if NEED.search(word) else word for word in words]
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", *words, "--seed_everything", "7", "--data.seed", "7", "--print_config"])
    assert end.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["seed_everything"] == 7


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_are_compared_with_rates_and_seeds_of_their_own(name):
    options = STUDIES[name]["init_args"]
    assert len(options["learning_rates"]) >= FEWEST_RATES
    assert len(options["seeds"]) >= FEWEST_SEEDS


@pytest.mark.parametrize("name", VARIED)
def test_groups_rivals_and_checkpoints_that_are_needed_exist(name):
    study = KINDS[STUDIES[name]["class_path"]](**STUDIES[name]["init_args"])
    assert len(study.grid) >= len(study.variants) * len(study.seeds)


@pytest.mark.parametrize("name", STUDIES)
def test_published_numbers_belong_to_what_is_run(name):
    options = STUDIES[name]["init_args"]
    if "variants" in options:
        for variant, numbers in (options.get("published") or {}).items():
            assert variant in options["variants"]
            assert set(numbers) <= set(options["metrics"])


def test_the_page_of_results_tells_of_every_study():
    page = (Path(cli.__file__).parent / "recipes" / "studies" / "README.md").read_text()
    for name in STUDIES:
        assert f"overtone study {name}" in page
