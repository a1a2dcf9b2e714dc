"""The page of results has the numbers that studies make of the files of their runs."""

import re
import statistics

import pytest
import yaml

from framework.console import recipes
from framework.studies import read
from framework.studies.comparisons import arms_of, half_width, paired_gaps
from framework.studies.results import rival
from tests.test_studies import KINDS

STUDIES = {
    path: KINDS[study["class_path"]](**study["init_args"])
    for path in recipes.studies()
    if "variants" in (study := yaml.safe_load(path.read_text())["study"])["init_args"]
    and path.with_suffix(".csv").exists()
}
PAGE = (recipes.FOLDER / "studies" / "README.md").read_text()
NUMBER = r"[+-]?[\d,]*\.?\d+(?:e-?\d+)?"
SPREAD = re.compile(rf"({NUMBER}) ± ({NUMBER})")
INTERVAL = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")


def close(text, number):
    """Whether a number is what stands on the page, to its last digit."""
    text = text.replace(",", "")
    digits = len(text.partition(".")[2])
    return abs(float(text) - number) <= 0.5000001 * 10.0**-digits


def lines(pattern, section, *numbers):
    """The lines of a section where a pattern stands with these numbers."""
    return [
        line
        for line in section.splitlines()
        if any(all(map(close, found, numbers)) for found in pattern.findall(line))
    ]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_has_each_variant_and_how_much_it_differs(path):
    study, results = STUDIES[path], read(path.with_suffix(".csv"))
    section = PAGE.split(f"    overtone study {path.stem}\n")[1].split("\n## ")[0]
    metric = study.metrics[0]
    arms = arms_of(study.compared(results), metric, study.rates(results))
    verdicts = {name: said for name, *_, said in study.differences(results, study.baseline)}
    for variant in {*study.variants} - {*arms}:
        assert re.search(rf"`{variant}`[^.]* not run", section), variant
    for variant, arm in arms.items():
        values = [*arm.values.values()]
        assert len(values) == len(study.seeds)
        assert lines(SPREAD, section, arm.mean, statistics.stdev(values)), variant
        if (reference := rival(variant, study.baseline)) != variant:
            gaps = paired_gaps(arm, arms[reference])
            middle, width = statistics.fmean(gaps), half_width(gaps)
            assert lines(SPREAD, section, middle, statistics.stdev(gaps)), variant
            found = lines(INTERVAL, section, middle - width, middle + width)
            said = {word for word in ("wins", "loses") for line in found if word in line}
            assert found, variant
            assert said == {verdicts[variant]} & {"wins", "loses"}, variant
