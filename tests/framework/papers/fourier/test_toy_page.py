"""The tables on the page of results are those of `toy.csv`, and give no verdict with one rate."""

import re
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
import scipy.stats

import cli
from framework.papers.fourier import ToyTable
from framework.studies import read

STUDIES = Path(cli.__file__).parent / "recipes" / "studies"
RESULTS = read(STUDIES / "fourier" / "toy.csv")
SECTION = (STUDIES / "README.md").read_text().split("## Toy problems\n")[1].split("\n## ")[0]
CELLS, GAPS, LIKELIHOOD, SMOOTHNESS = re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE)
PROBLEMS = ("gaussian", "two_gaussians", "signed_beta")


def rows(table):
    """Cells by the name of the head."""
    lines = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return {head: cells for head, *cells in lines[2:]}


def values(problem, training, head, metric):
    variant = f"{problem}/{training}/{head}"
    found = {r.seed: r.value for r in RESULTS if (r.variant, r.metric) == (variant, metric)}
    return [found[seed] for seed in sorted(found)]


def close(text, number):
    """Whether a number is what stands in a table, to its last digit."""
    digits = len(text.partition(".")[2])
    return abs(float(text) - number) <= 0.5000001 * 10.0**-digits


@pytest.mark.parametrize(
    ("table", "training", "metric"),
    [
        pytest.param(CELLS, "classification", "kl_cells", id="classification"),
        pytest.param(LIKELIHOOD, "likelihood", "kl_cells", id="likelihood"),
        pytest.param(SMOOTHNESS, "classification", "smoothness", id="smoothness"),
    ],
)
def test_means_and_deviations_of_samples(table, training, metric):
    for head, cells in rows(table).items():
        for problem, cell in zip(PROBLEMS, cells[::2], strict=True):
            found = values(problem, training, head, metric)
            mean, deviation = cell.split(" ± ")
            assert len(found) == 4
            assert close(mean, statistics.fmean(found))
            assert close(deviation, statistics.stdev(found))


def test_differences_and_their_intervals():
    for head, cells in rows(GAPS).items():
        for problem, cell in zip(PROBLEMS, cells, strict=True):
            mine, linear = (
                values(problem, "classification", each, "kl_cells") for each in (head, "linear")
            )
            middle, low, high = re.findall(r"-?[\d.]+", cell)
            test = scipy.stats.ttest_rel(mine, linear)
            assert close(middle, statistics.fmean(mine) - statistics.fmean(linear))
            assert close(low, test.confidence_interval(0.95).low)
            assert close(high, test.confidence_interval(0.95).high)


@pytest.mark.slow
def test_one_learning_rate_gives_no_verdict():
    tables = ToyTable.tables(SimpleNamespace(published={}), RESULTS)
    found = [row[-1] for title, table in tables.items() if "Diff" in title for row in table[1:]]
    assert len(found) > 50
    assert all(each.startswith("no verdict: one learning rate") for each in found)
