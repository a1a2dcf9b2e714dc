"""Every shipped study says what it runs in words that the command line takes."""

from pathlib import Path

import pytest
import yaml

import cli
from framework.console import recipes
from framework.papers.myopic import PairedArms
from framework.studies import Variants
from framework.studies.comparisons import FEWEST_RATES, FEWEST_SEEDS
from framework.studies.grid import RATE
from framework.studies.runs import NEED

STUDIES = {path.stem: yaml.safe_load(path.read_text())["study"] for path in recipes.studies()}
VARIED = [name for name, study in STUDIES.items() if "variants" in study["init_args"]]


@pytest.fixture
def checkpoint(tmp_path):
    """Stands for that of another variant."""
    (tmp_path / "last.ckpt").touch()
    return tmp_path / "last.ckpt"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if number else ())
        for number, name in enumerate(VARIED)
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


@pytest.mark.parametrize(
    "name",
    [
        "fanformer",
        "fanformer_long",
        "fanformer_code",
        "fanformer_scaling",
        "leave_square_out",
        "myopia_sines",
        "myopia_language",
        "myopia_multiplication",
    ],
)
def test_verdicts_about_architectures_need_rates_and_seeds(name):
    options = STUDIES[name]["init_args"]
    assert len(options["learning_rates"]) >= FEWEST_RATES
    assert len(options["seeds"]) >= FEWEST_SEEDS


@pytest.mark.parametrize("name", VARIED)
def test_variants_can_be_run(name):
    """Groups, rivals and checkpoints that are needed exist."""
    kind = {"Variants": Variants, "PairedArms": PairedArms}[STUDIES[name]["class_path"]]
    study = kind(**STUDIES[name]["init_args"])
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
