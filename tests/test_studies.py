"""Every shipped study says what it runs in words that the command line takes."""

from pathlib import Path

import pytest
import yaml

import cli
from framework.console import recipes

STUDIES = {path.stem: yaml.safe_load(path.read_text())["study"] for path in recipes.studies()}
RUNS = [
    pytest.param([*study["init_args"]["recipe"], *words], id=f"{name}-{variant}")
    for name, study in STUDIES.items()
    if study["class_path"] in ("Variants", "PairedArms")
    for variant, words in study["init_args"]["variants"].items()
]


@pytest.mark.parametrize("words", RUNS)
def test_a_variant_is_a_legal_command(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", *words, "--seed_everything", "7", "--data.seed", "7", "--print_config"])
    assert end.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["seed_everything"] == 7


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
